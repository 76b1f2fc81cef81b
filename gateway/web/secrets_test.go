package web_test

import (
	"html"
	"regexp"
	"testing"
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
