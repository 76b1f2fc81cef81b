package web_test

import (
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vcsagent/transport"
)

var (
	tokenField  = regexp.MustCompile(`<textarea[^>]* id="token"[^>]*>([^<]+)</textarea>`)
	secretField = regexp.MustCompile(`<textarea[^>]* id="secret"[^>]*>([^<]+)</textarea>`)
)

// tokenIn is the token that a page shows, once.
func tokenIn(t *testing.T, a answer) string { t.Helper(); return fieldIn(t, a, tokenField) }

// keyIn is the key that a page shows, once.
func keyIn(t *testing.T, a answer) string { t.Helper(); return fieldIn(t, a, secretField) }

func fieldIn(t *testing.T, a answer, field *regexp.Regexp) string {
	t.Helper()
	m := field.FindAllStringSubmatch(a.body, -1)
	if len(m) != 1 {
		t.Fatalf("the page shows %d secrets, want 1:\n%s", len(m), a.body)
	}
	return html.UnescapeString(m[0][1])
}

// A token or key is in one answer, and nowhere else: no other page, no address, no
// log line, no file.
func TestSecretsAreShownOnce(t *testing.T) {
	r := newRig(t)
	b := r.signedIn()
	made := b.post("/new-pool", url.Values{"name": {"basement"}, "vendor": {"gitlab"}})
	rotated := b.post("/pools/basement/tokens/new", nil)
	key := b.post("/new-key", url.Values{"name": {"backend"}, "pools": {"basement"}})
	secrets := []string{b.cookies[cookieName].Value, r.admin.Reveal(), keyIn(t, key)}
	for _, a := range []answer{made, rotated} {
		token := tokenIn(t, a)
		parsed, err := transport.ParseToken(token)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, token, parsed.Key.Reveal())
	}
	b.post("/sign-in", url.Values{"key": {r.admin.Reveal() + "x"}})
	var seen strings.Builder
	for _, path := range everyPage(t, r) {
		a := b.get(path)
		seen.WriteString(html.UnescapeString(a.body))
		for name, values := range a.Header {
			seen.WriteString(name + strings.Join(values, " "))
		}
	}
	seen.WriteString(r.log.String())
	for _, a := range []answer{made, rotated, key} {
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Location") != "" || a.Request.URL.RawQuery != "" {
			t.Errorf("%s: %v", a.Request.URL, a.Header)
		}
	}
	if err := r.control.Store.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database in %s: %v", r.dir, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(data)
	}
	for i, secret := range secrets {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("secret %d (%.8s…) is in a page, the log or the database", i, secret)
		}
	}
}
