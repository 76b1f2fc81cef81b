package transport_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"vcsagent/transport"
)

const (
	tokenKey = "key-\xc3\xbf\xc3\xbe>?~that-needs-plus-and-slash" // its base64 has + and /
	tokenPin = "a3b1c5d7e9f00112233445566778899aabbccddeeff00112233445566778899a"
)

func wholeToken() transport.Token {
	return transport.Token{Host: "gateway.example.com:8443", PoolID: "01J0000000000000000000000P", Key: tokenKey, CASHA256: tokenPin}
}

func TestTokenForms(t *testing.T) {
	padded := wholeToken().Encode()
	if !strings.HasSuffix(padded, "=") || !strings.ContainsAny(padded, "+/") {
		t.Fatalf("this token shows nothing of padding or of URL-safe letters: %s", padded)
	}
	unpadded := strings.TrimRight(padded, "=")
	safe := strings.NewReplacer("+", "-", "/", "_")
	for name, encoded := range map[string]string{
		"padded":               padded,
		"unpadded":             unpadded,
		"URL-safe":             safe.Replace(padded),
		"URL-safe, unpadded":   safe.Replace(unpadded),
		"broken into lines":    padded[:40] + "\n" + padded[40:80] + "\r\n" + padded[80:] + "\n",
		"in spaces and tabs":   "  \t" + padded + " ",
		"pin in capitals":      encodeJSON(t, map[string]any{"host": "gateway.example.com:8443", "pool_ulid": "01J0000000000000000000000P", "key": tokenKey, "ca_sha256": strings.ToUpper(tokenPin)}),
		"with a field unknown": encodeJSON(t, map[string]any{"host": "gateway.example.com:8443", "pool_ulid": "01J0000000000000000000000P", "key": tokenKey, "ca_sha256": tokenPin, "later": 1}),
	} {
		got, err := transport.ParseToken(encoded)
		if err != nil || got != wholeToken() {
			t.Errorf("%s: %#v, %v", name, got, err)
		}
	}
	// What deployments already parse: standard base64 of JSON under these names.
	raw, err := base64.StdEncoding.DecodeString(padded)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal(raw, &fields); err != nil || len(fields) != 4 ||
		fields["host"] != "gateway.example.com:8443" || fields["pool_ulid"] != "01J0000000000000000000000P" || fields["key"] != tokenKey || fields["ca_sha256"] != tokenPin {
		t.Errorf("wire form %s, %v", raw, err)
	}
	noPin := wholeToken()
	noPin.CASHA256 = ""
	if raw, _ := base64.StdEncoding.DecodeString(noPin.Encode()); bytes.Contains(raw, []byte("ca_sha256")) {
		t.Errorf("a token without pin has the field: %s", raw)
	}
}

func TestTokensRefused(t *testing.T) {
	with := func(change func(map[string]any)) string {
		fields := map[string]any{"host": "h:8443", "pool_ulid": "P", "key": "s3cret-key"}
		change(fields)
		return encodeJSON(t, fields)
	}
	if _, err := transport.ParseToken(with(func(map[string]any) {})); err != nil {
		t.Fatalf("the token that the others differ from: %v", err)
	}
	for _, tc := range []struct{ name, token, want string }{
		{"nothing", " \n", "the token is empty"},
		{"too long", strings.Repeat("A", 8<<10+1), "more than any real one"},
		{"not base64", "s3cret-key!", "not base64"},
		{"padding within", "eyJo=b3N0", "not base64"},
		{"not JSON", base64.StdEncoding.EncodeToString([]byte("s3cret-key")), "not JSON"},
		{"cut off", wholeToken().Encode()[:60], "not JSON"},
		{"a list", encodeJSON(t, []string{"s3cret-key"}), "not JSON"},
		{"no host", with(func(f map[string]any) { delete(f, "host") }), "lacks host"},
		{"no pool", with(func(f map[string]any) { delete(f, "pool_ulid") }), "lacks pool_ulid"},
		{"no key", with(func(f map[string]any) { delete(f, "key") }), "lacks key"},
		{"nothing in it", with(func(f map[string]any) { clear(f) }), "lacks host and pool_ulid and key"},
		{"key that is no text", with(func(f map[string]any) { f["key"] = 5 }), "not JSON"},
		{"host without port", with(func(f map[string]any) { f["host"] = "h" }), `"h" is not host:port`},
		{"port without host", with(func(f map[string]any) { f["host"] = ":8443" }), "no host"},
		{"port 0", with(func(f map[string]any) { f["host"] = "h:0" }), "from 1 to 65535"},
		{"port 65536", with(func(f map[string]any) { f["host"] = "h:65536" }), "from 1 to 65535"},
		{"URL as host", with(func(f map[string]any) { f["host"] = "https://h:8443" }), "not host:port"},
		{"short pin", with(func(f map[string]any) { f["ca_sha256"] = tokenPin[2:] }), "ca_sha256"},
		{"pin that is no hex", with(func(f map[string]any) { f["ca_sha256"] = "x" + tokenPin[1:] }), "ca_sha256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := transport.ParseToken(tc.token)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%+v, %v; want an error with %q", got, err, tc.want)
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), strings.TrimSpace(tc.token)[:min(8, len(strings.TrimSpace(tc.token)))]) && len(tc.token) > 8 {
				t.Errorf("the error quotes the token: %v", err)
			}
		})
	}
}

func encodeJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// A secret is hidden however it is printed, alone or within something else.
func TestSecretsMaskThemselves(t *testing.T) {
	const value = "s3cret-key"
	secret := transport.Secret(value)
	token := transport.Token{Host: "h:1", PoolID: "P", Key: secret}
	hello := transport.Hello{PoolID: "P", Key: secret}
	for _, v := range []any{secret, &secret, token, &token, hello, &hello, []transport.Secret{secret}, map[string]any{"k": secret}, struct{ S any }{token}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v", "%-10s", "%.3s", "%T"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, value) || strings.Contains(got, fmt.Sprintf("%x", value)) || strings.Contains(got, fmt.Sprintf("%X", value)) || strings.Contains(got, "s3c") {
				t.Errorf("%s of %T: %s", verb, v, got)
			}
		}
		for name, marshal := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "YAML": yaml.Marshal} {
			if got, err := marshal(v); err != nil || bytes.Contains(got, []byte(value)) {
				t.Errorf("%s of %T: %s, %v", name, v, got, err)
			}
		}
		for name, handler := range logHandlers() {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("m", "v", v, slog.Group("g", "v", v))
			if strings.Contains(out.String(), value) || out.Len() == 0 {
				t.Errorf("%s log of %T: %s", name, v, &out)
			}
		}
	}
	for format, want := range map[string]string{"%s": "[masked]", "%v": "[masked]", "%q": `"[masked]"`, "%10s": "  [masked]"} {
		if got := fmt.Sprintf(format, secret); got != want {
			t.Errorf("%s gives %s, want %s", format, got, want)
		}
	}
	if got := fmt.Sprint(transport.Secret("")); got != "" {
		t.Errorf("no secret prints as %q: it must be told from a hidden one", got)
	}
	if secret.Reveal() != value {
		t.Error("Reveal doesn't give the secret")
	}
	if s := token.String(); !strings.Contains(s, "P") || !strings.Contains(s, "h:1") {
		t.Errorf("the token's text names neither pool nor host: %s", s)
	}
}

func logHandlers() map[string]func(*bytes.Buffer) slog.Handler {
	return map[string]func(*bytes.Buffer) slog.Handler{
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	}
}
