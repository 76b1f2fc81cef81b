package gateway_test

import (
	"net/http"
	"testing"
)

// An absolute URL is one that the agent's policy lets redirects name: it passes as
// it is. What no agent writes doesn't.
func TestAbsoluteLocation(t *testing.T) {
	f := start(t)
	rec := &recorder{}
	f.join(t, options{}, rec.ServeHTTP)
	const stays = "\x00"
	for _, tt := range []struct{ name, location, want string }{
		{"a host that the policy names", "https://objects.example.com/a%2Fb?X-Amz-Signature=s#f", stays},
		{"without TLS", "http://objects.example.com:8080/a", stays},
		{"scheme in capitals", "HTTPS://objects.example.com/a", stays},

		{"user and password", "https://u:p@objects.example.com/a", ""},
		{"an empty user", "https://@objects.example.com/a", ""},
		{"a script", "javascript:alert(1)", ""},
		{"another scheme", "ftp://objects.example.com/a", ""},
		{"no host", "https:///a", ""},
		{"no slashes", "https:objects.example.com", ""},
		{"relative", "a/b", ""},
		{"a backslash", `\\objects.example.com`, ""},
		{"a backslash in the host", `https://objects.example.com\@evil.example/`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec.next(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", tt.location)
				w.WriteHeader(http.StatusFound)
			})
			resp, err := client.Do(f.request(t, "GET", "/x", nil))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			want := tt.want
			if want == stays {
				want = tt.location
			}
			if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusFound || got != want {
				t.Errorf("%q became %d %q, want %q", tt.location, resp.StatusCode, got, want)
			}
		})
	}
}
