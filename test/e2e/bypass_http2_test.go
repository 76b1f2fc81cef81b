package e2e_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

// certificate writes a certificate for 127.0.0.1 and its key, and returns a pool
// in which it is trusted.
func certificate(t *testing.T) (certFile, keyFile string, pair tls.Certificate, roots *x509.CertPool) {
	t.Helper()
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	srv.Close()
	pair = srv.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), pair, roots
}

// HTTP/2 has no request line, so that its fields can hold what HTTP/1 has no way
// to say. Callers speak it over TLS.
func TestBypassesOverHTTP2(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _, roots := certificate(t)
	vcs := newOrigin(t, nil)
	s := stack.New(t, stack.Options{VCS: http.NotFoundHandler(), GatewayArgs: []string{"--http-tls-cert", certFile, "--http-tls-key", keyFile}})
	s.VCSURL = "http://" + vcs.addr
	const user = "/private/gitlab/api/v4/user"
	const project = "/private/gitlab/api/v4/projects/g%2Fr"
	onBothCarriers(t, func(t *testing.T, carrier string) {
		a := s.StartAgent(t, "--transport", carrier)
		for _, tt := range []struct {
			name    string
			fields  []string // "name = value": in place of the usual one or added; "+name = value": added; "-name": left out
			want    string   // the status, and then the code and the reason if there are any; "none": no answer
			reaches string   // the VCS, as this request
		}{
			{"a call", nil, "200", "GET /api/v4/user"},
			{"another authority", []string{":authority = evil.example"}, "200", "GET /api/v4/user"},
			{"userinfo in the authority", []string{":authority = u:p@evil.example"}, "none", ""},
			{"another scheme", []string{":scheme = http"}, "200", "GET /api/v4/user"},
			{"Sudo", []string{"sudo = root", "x-http-method-override = DELETE", "x-original-url = /admin", "cookie = a=1", "vcs-agent-error = x"}, "200", "GET /api/v4/user"},
			{"joined to the host", []string{":path = /private/gitlab@10.0.0.5/x"}, "404 unknown_pool", ""},
			{"no slash", []string{":path = @10.0.0.5/x"}, "none", ""},
			{"no path", []string{":path = "}, "none", ""},
			{"asterisk", []string{":path = *"}, "404 not_found", ""},
			{"absolute form", []string{":path = http://gitlab.private/api/v4/user"}, "200", "GET /api/v4/user"},
			{"absolute form elsewhere", []string{":path = http://evil.example/api/v4/user"}, "403 forbidden", ""},
			{"absolute form with userinfo", []string{":path = http://gitlab.private@evil.example/api/v4/user"}, "403 forbidden", ""},
			{"dot segments", []string{":path = " + project + "/merge_requests/../hooks"}, "403 denied ambiguous_path", ""},
			{"encoded dots", []string{":path = " + project + "/merge_requests/%2e%2e/hooks"}, "403 denied ambiguous_path", ""},
			{"out of the pool", []string{":path = /private/gitlab/../other/api/v4/user"}, "403 denied ambiguous_path", ""},
			{"an empty segment", []string{":path = " + project + "//hooks"}, "403 denied ambiguous_path", ""},
			{"a backslash", []string{`:path = ` + project + `\..\hooks`}, "403 denied ambiguous_path", ""},
			{"a parameter", []string{":path = " + project + "/..;/hooks"}, "403 denied ambiguous_path", ""},
			{"a fragment", []string{":path = " + user + "#x"}, "403 denied bad_target", ""},
			{"a space", []string{":path = " + user + " HTTP/1.1"}, "403 denied bad_encoding", ""},
			{"a byte that is no ASCII", []string{":path = " + user + "\xe9"}, "403 denied bad_encoding", ""},
			{"a tab", []string{":path = " + user + "\t"}, "none", ""},
			{"a line end", []string{":path = " + user + " HTTP/1.1\r\nSudo: root\r\nX: "}, "none", ""},
			{"NUL", []string{":path = " + user + "\x00"}, "none", ""},
			{"sudo in the query", []string{":path = " + user + "?sudo=root"}, "403 denied query_not_allowed", ""},
			{"a push", []string{":path = /private/gitlab/g/r.git/info/refs?service=git-receive-pack"}, "403 denied push_not_allowed", ""},
			{"two paths", []string{"+:path = /private/gitlab/api/v4/admin"}, "none", ""},
			{"a path behind the fields", []string{"-:path", "+:path = " + user}, "none", ""},
			{"two methods", []string{"+:method = DELETE"}, "none", ""},
			{"a method with a line end", []string{":method = GET / HTTP/1.1\r\nSudo: root\r\n"}, "none", ""},
			{"another method", []string{":method = DELETE"}, "403 denied method_not_allowed", ""},
			{"CONNECT", []string{":method = CONNECT", "-:scheme", "-:path", ":authority = gitlab.private:80"}, "403 forbidden", ""},
			{"extended CONNECT", []string{":method = CONNECT", ":protocol = websocket"}, "none", ""},
			{"a hop-by-hop header", []string{"connection = private-token"}, "400", ""},
			{"a header in capitals", []string{"Sudo = root"}, "none", ""},
			{"a header's value with a line end", []string{"accept = a\r\nsudo: root"}, "none", ""},
			{"a header's name with a line end", []string{"accept: a\r\nsudo = root"}, "none", ""},
			{"chunks", []string{"transfer-encoding = chunked"}, "400", ""},
			{"the key twice, the wrong one first", []string{"vcs-gateway-key = x", "+vcs-gateway-key = " + s.Key}, "401 unauthenticated", ""},
		} {
			t.Run(tt.name, func(t *testing.T) {
				fields := []string{":method = GET", ":scheme = https", ":authority = " + s.Gateway.HTTP, ":path = " + user,
					"vcs-gateway-key = " + s.Key, "private-token = for-the-vcs"}
				for _, f := range tt.fields {
					name, _, _ := strings.Cut(strings.TrimLeft(f, "+-"), " = ")
					i := slices.IndexFunc(fields, func(g string) bool { return strings.HasPrefix(g, name+" = ") })
					switch {
					case f[0] == '-':
						fields = slices.Delete(fields, i, i+1)
					case f[0] == '+' || i < 0 && name[0] != ':':
						fields = append(fields, strings.TrimPrefix(f, "+"))
					case i < 0:
						fields = slices.Insert(fields, 0, f)
					default:
						fields[i] = f
					}
				}
				got := overHTTP2(t, s.Gateway.HTTP, roots, fields)
				if got != tt.want {
					t.Errorf("%q, want %q", got, tt.want)
				}
				seen, connections := vcs.take()
				if tt.reaches == "" && (len(seen) != 0 || connections != 0) {
					t.Errorf("the VCS got %d connections and %q", connections, seen)
				} else if tt.reaches != "" {
					if len(seen) != 1 || seen[0].line != tt.reaches+" HTTP/1.1" {
						t.Fatalf("the VCS got %q, want %q", seen, tt.reaches)
					}
					header := slices.DeleteFunc(seen[0].header, func(l string) bool { return strings.HasPrefix(l, "X-Request-Id: ") })
					if slices.Sort(header); !slices.Equal(header, []string{"Host: " + vcs.addr, "Private-Token: for-the-vcs"}) {
						t.Errorf("the VCS got the header %q", header)
					}
				}
			})
		}
		end(t, a)
	})
}

// overHTTP2 sends a request of these fields on a connection of its own and returns
// what came back: the status, and the code and reason if it's a problem.
func overHTTP2(t *testing.T, addr string, roots *x509.CertPool, fields []string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, " = ")
		if err := enc.WriteField(hpack.HeaderField{Name: name, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	fr := http2.NewFramer(c, c)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = io.WriteString(c, http2.ClientPreface)
	if err == nil {
		err = fr.WriteSettings()
	}
	if err == nil {
		err = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	resp := http.Response{Header: http.Header{}}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return "none"
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				fr.WriteSettingsAck()
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "none"
		case *http2.MetaHeadersFrame:
			for _, hf := range f.Fields {
				resp.Header.Add(hf.Name, hf.Value)
			}
			fmt.Sscan(f.PseudoValue("status"), &resp.StatusCode)
			if f.StreamEnded() {
				return fmt.Sprint(resp.StatusCode)
			}
		case *http2.DataFrame:
			if resp.Header.Get("VCS-Agent-Error") == "" {
				return fmt.Sprint(resp.StatusCode)
			}
			resp.Body = io.NopCloser(bytes.NewReader(f.Data())) // problems fit into one frame
			p := problemIn(t, &resp)
			return strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", p.Code, " ", p.Reason))
		}
	}
}

// A port that is the scheme's own is no other place, in the base endpoint, in
// what the VCS says of itself, and in what callers call the gateway. Any other is.
func TestExplicitPorts(t *testing.T) {
	t.Parallel()
	_, in := servers.Wire(t) // port 443 of a loopback of its own
	certFile, _, pair, _ := certificate(t)
	plain, err := in.Listen("tcp", "127.0.0.1:443")
	if err != nil {
		t.Fatal(err)
	}
	vcs := serveOrigin(t, tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{pair}}), func(r received) string {
		location := map[string]string{"1": "https://127.0.0.1/x", "2": "https://127.0.0.1:443/x", "3": "https://127.0.0.1:8443/x", "4": "https://127.0.0.1:80/x", "5": "https://127.0.0.1:/x"}[r.sha()]
		if location == "" {
			return okAnswer
		}
		return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: " + location + "\r\n\r\n"
	})
	s := stack.New(t, stack.Options{VCS: http.NotFoundHandler(), GatewayIn: in, VCSIn: in})
	for _, base := range []string{"https://127.0.0.1:443", "https://127.0.0.1", "https://127.0.0.1:443/"} {
		a := s.LaunchAgent(t, stack.AgentOptions{In: in, Args: []string{"--target-base-endpoint", base, "--ca-cert-file", certFile}})
		s.AwaitSession(t, a)
		for sha, want := range map[string]string{"": "200", "1": "302 /x", "2": "302 /x", "3": "502 foreign_redirect", "4": "502 foreign_redirect", "5": "302 /x"} {
			req := s.Request(t, "GET", call+"/repository/archive?sha="+sha)
			req.Host = "gateway.example:443"
			resp := s.Do(t, req)
			place := strings.TrimPrefix(resp.Header.Get("Location"), "http://gateway.example:443/private/gitlab")
			if got := strings.Join(strings.Fields(fmt.Sprint(resp.StatusCode, " ", place, " ", resp.Header.Get("VCS-Agent-Error"))), " "); got != want {
				t.Errorf("%s, %q: %q, want %q", base, sha, got, want)
			}
			host := "Host: " + strings.TrimSuffix(strings.TrimPrefix(base, "https://"), "/")
			if seen, _ := vcs.take(); len(seen) != 1 || !slices.Contains(seen[0].header, host) {
				t.Errorf("%s, %q: the VCS got %q, want %q", base, sha, seen, host)
			}
		}
		end(t, a)
	}
}
