package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"vcsagent/test/samplevcs"
	"vcsagent/test/servers"
	"vcsagent/test/stack"
	"vcsagent/transport"
)

// An operator's day, by commands and by pages; then each secret in it is looked for
// in all that was written down or shown later: both logs at their most talkative,
// the database, every page, every answer of the API.
func TestSecretsAreWrittenDownNowhere(t *testing.T) {
	databases := map[string]func(t *testing.T) (args []string, secret string, stored func(*testing.T, *stack.Stack) []byte){
		"sqlite": func(*testing.T) ([]string, string, func(*testing.T, *stack.Stack) []byte) {
			return nil, "", filesOf
		},
		"postgres": func(t *testing.T) ([]string, string, func(*testing.T, *stack.Stack) []byte) {
			server := servers.Postgres(t)
			database := server.Database(t)
			return []string{"--database", database}, server.Password, func(t *testing.T, s *stack.Stack) []byte {
				return append(rowsOf(t, database), filesOf(t, s)...)
			}
		},
	}
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args, password, stored := database(t)
			s := stack.New(t, stack.Options{GatewayArgs: append(args, "--log-level", "debug")})
			a := s.StartAgent(t, "--log-level", "debug", "--debug-print-all")
			secrets := map[string]string{"the caller's key": s.Key, "the pool's token": s.Token, "the VCS's token": samplevcs.Token}
			if password != "" {
				secrets["the database's password"] = password
			}
			admin, err := os.ReadFile(filepath.Join(s.Gateway.DataDir, "admin-key"))
			if err != nil {
				t.Fatal(err)
			}
			secrets["the admin key"] = strings.TrimSpace(string(admin))
			secrets["another admin key"] = s.Gateway.Command(t, "key", "create", "second", "--admin")
			secrets["a rotated token"] = s.Gateway.Command(t, "pool", "rotate-token", stack.Pool)
			secrets["a query's token"] = "query-secret-0123456789"
			secrets["a password in a URL"] = "url-secret-0123456789"
			for _, path := range []string{"/api/v4/user", "/api/v4/users", "/api/v4/user?private_token=query-secret-0123456789", "/api/v4/projects/1?access_token=query-secret-0123456789#x"} {
				receive(t, "an answer", send(s.Request(t, "GET", path)))
			}
			// The key where a proxy's password stands, and a password in the target.
			raw(t, s.Gateway.HTTP, "GET http://u:url-secret-0123456789@gitlab.private/api/v4/user HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+
				"Proxy-Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("caller:"+s.Key))+"\r\n\r\n")

			b := signIn(t, s, secrets["the admin key"])
			secrets["the session's cookie"] = b.cookie(t)
			made := b.post(t, "/new-pool", url.Values{"name": {"second"}, "description": {"made in the browser"}, "vendor": {"gitlab"}})
			secrets["a token made in the browser"] = theOne(t, made, `[A-Za-z0-9+/]{100,}={0,2}`)
			made = b.post(t, "/new-key", url.Values{"name": {"third"}, "pools": {"second"}})
			secrets["a key made in the browser"] = theOne(t, made, `vcsgw_[A-Za-z0-9_-]{43}`)
			b.post(t, "/sign-in", url.Values{"key": {"vcsgw_a-wrong-key-that-somebody-typed-0123456789"}})
			secrets["a wrong key"] = "vcsgw_a-wrong-key-that-somebody-typed-0123456789"
			for what, token := range secrets { // what is in a token counts by itself
				if parsed, err := transport.ParseToken(token); err == nil {
					secrets[what+"'s key"] = parsed.Key.Reveal()
				}
			}

			places := map[string][]byte{}
			for _, path := range []string{"/", "/pools/gitlab", "/pools/gitlab/requests", "/pools/gitlab/tokens", "/pools/gitlab/tokens/new", "/pools/gitlab/settings",
				"/pools/second", "/pools/second/waiting", "/requests", "/keys", "/new-key", "/audit", "/sign-in"} {
				places["the page "+path] = b.get(t, path)
			}
			for _, path := range []string{"pools", "pools/gitlab", "pools/gitlab/tokens", "connections", "keys", "requests", "audit", "overview"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Gateway.Admin+"/api/v1/"+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+secrets["another admin key"])
				places["the API's "+path] = []byte(readAll(t, s.Do(t, req)))
			}
			eventually(t, "the requests are stored", func() bool {
				return strings.Contains(s.Gateway.Command(t, "requests", "--json"), "gitlab.private") || bytes.Count(b.get(t, "/requests"), []byte("/api/v4/user")) >= 4
			})
			s.Gateway.Command(t, "pool", "delete", "second", "--yes")
			s.Gateway.Signal(os.Interrupt)
			s.Gateway.ExitCode(t, patience) // then nobody has the database open
			places["the gateway's log"], places["the agent's log"] = []byte(s.Gateway.Log()), []byte(a.Log())
			places["the database"] = stored(t, s)
			for place, text := range places {
				if len(text) == 0 {
					t.Errorf("%s is empty", place)
				}
				for what, secret := range secrets {
					for _, spelt := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte("caller:" + secret)),
						base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
						if bytes.Contains(text, []byte(spelt)) {
							t.Errorf("%s is in %s as %q", what, place, spelt)
						}
					}
				}
			}
			// The search itself works: what must be stored is found.
			hash := sha256.Sum256([]byte(s.Key))
			if db := places["the database"]; !bytes.Contains(db, hash[:]) && !bytes.Contains(db, []byte(hex.EncodeToString(hash[:]))) {
				t.Error("the database as it was read doesn't have the caller's key's SHA-256")
			}
		})
	}
}

// filesOf is all that the gateway's data folder has but the file that is there to
// hold a secret.
func filesOf(t *testing.T, s *stack.Stack) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(s.Gateway.DataDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "admin-key" {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rowsOf is every row of a PostgreSQL database's tables as text; bytes are in hex.
func rowsOf(t *testing.T, database string) []byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	texts := func(query string) []string {
		rows, err := conn.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		out, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	var all []byte
	for _, table := range texts("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'") {
		for _, row := range texts("SELECT row_to_json(t)::text FROM " + pgx.Identifier{table}.Sanitize() + " t") {
			all = append(append(all, row...), '\n')
		}
	}
	return all
}

// browser is somebody who is signed in to the pages, with a browser that says
// where its forms come from.
type browser struct {
	client http.Client
	origin string
}

func signIn(t *testing.T, s *stack.Stack, key string) *browser {
	t.Helper()
	b := &browser{origin: "http://" + s.Gateway.Admin}
	b.client.Jar = &jar{}
	page := b.post(t, "/sign-in", url.Values{"key": {key}})
	if !bytes.Contains(page, []byte("Sign out")) {
		t.Fatalf("not signed in:\n%s", page)
	}
	return b
}

// jar keeps what the gateway set last: net/http's own keeps a Secure cookie back
// from http://127.0.0.1, where browsers don't.
type jar struct{ cookies []*http.Cookie }

// SetCookies implements http.CookieJar.
func (j *jar) SetCookies(_ *url.URL, cookies []*http.Cookie) { j.cookies = cookies }

// Cookies implements http.CookieJar.
func (j *jar) Cookies(*url.URL) []*http.Cookie { return j.cookies }

func (b *browser) cookie(t *testing.T) string {
	t.Helper()
	cookies := b.client.Jar.Cookies(nil)
	if len(cookies) != 1 {
		t.Fatalf("cookies: %v", cookies)
	}
	return cookies[0].Value
}

var csrf = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (b *browser) post(t *testing.T, path string, form url.Values) []byte {
	t.Helper()
	if path != "/sign-in" {
		m := csrf.FindSubmatch(b.get(t, path))
		if m == nil {
			t.Fatalf("the page %s has no form", path)
		}
		form.Set("csrf", string(m[1]))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.origin)
	return b.do(t, req)
}

func (b *browser) get(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.do(t, req)
}

func (b *browser) do(t *testing.T, req *http.Request) []byte {
	t.Helper()
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// theOne is the one text of a page that fits.
func theOne(t *testing.T, page []byte, pattern string) string {
	t.Helper()
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAll(page, -1) {
		found[string(m)] = true
	}
	if len(found) != 1 {
		t.Fatalf("the page has %d different texts like %s:\n%s", len(found), pattern, page)
	}
	for s := range found {
		return s
	}
	return ""
}
