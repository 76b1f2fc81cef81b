package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"vcsagent/transport"
)

// These tests put a hand-made peer at one end, to say what the real one wouldn't.

// rawAgent dials a gateway and serves h, without the session exchange.
func rawAgent(t *testing.T, g *gateway, mode transport.Mode, h http.Handler) {
	t.Helper()
	cfg, err := transport.ClientTLS(g.token(), nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	if mode == transport.ModeQUIC {
		cfg.NextProtos = []string{"rh3"}
		conn, err := quic.DialAddr(t.Context(), g.addr, cfg, &quic.Config{MaxIncomingStreams: 16})
		if err != nil {
			t.Fatal(err)
		}
		go func() { defer close(done); (&http3.Server{Handler: h}).ServeQUICConn(conn) }()
		t.Cleanup(func() { conn.CloseWithError(0, ""); receive(t, done) })
		return
	}
	cfg.NextProtos = []string{"rh2"}
	conn, err := tls.Dial("tcp", g.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := &singleListener{conn: plain{conn}, closed: make(chan struct{})}
	go func() { defer close(done); h2Server(h).Serve(l) }()
	t.Cleanup(func() { conn.Close(); close(l.closed); receive(t, done) })
}

func h2Server(h http.Handler) *http.Server {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: h, Protocols: p}
}

// plain hides a *tls.Conn from net/http.
type plain struct{ net.Conn }

type singleListener struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *singleListener) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *singleListener) Close() error   { return nil }
func (l *singleListener) Addr() net.Addr { return &net.TCPAddr{} }

// rawGateway accepts one agent and gives out a client for it.
func rawGateway(t *testing.T, mode transport.Mode) (g *gateway, client func() http.RoundTripper) {
	t.Helper()
	cfg := testAuthority().tls.Clone()
	if mode == transport.ModeQUIC {
		cfg.NextProtos = []string{"rh3"}
		l, err := quic.ListenAddr("127.0.0.1:0", cfg, &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return &gateway{addr: l.Addr().String()}, func() http.RoundTripper {
			conn, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.CloseWithError(0, "") })
			return (&http3.Transport{DisableCompression: true}).NewClientConn(conn)
		}
	}
	cfg.NextProtos = []string{"rh2"}
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conns := make(chan net.Conn, 1)
	go func() { // the agent's dial waits for this handshake
		conn, err := l.Accept()
		if err == nil && conn.(*tls.Conn).Handshake() == nil {
			conns <- conn
		}
	}()
	return &gateway{addr: l.Addr().String()}, func() http.RoundTripper {
		conn := receive(t, conns)
		t.Cleanup(func() { conn.Close() })
		p := new(http.Protocols)
		p.SetUnencryptedHTTP2(true)
		tr := &http.Transport{Protocols: p, DisableCompression: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return plain{conn}, nil }}
		cc, err := tr.NewClientConn(t.Context(), "http", "vcs-agent:80")
		if err != nil {
			t.Fatal(err)
		}
		return cc
	}
}

// says answers the session request with a line, passes on the line that the
// gateway says to it, says the others and reads on to the end.
func says(heard chan<- string, hello string, others ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		w.WriteHeader(200)
		io.WriteString(w, hello+"\n")
		rc.Flush()
		in := bufio.NewReader(r.Body)
		l, _ := in.ReadString('\n')
		heard <- l
		for _, l := range others {
			io.WriteString(w, l+"\n")
		}
		rc.Flush()
		io.Copy(io.Discard, in)
	})
}

func hello(change func(map[string]any)) string {
	m := map[string]any{"type": "hello", "version": 1, "pool_ulid": "pool", "key": "k", "instance": "i", "software": "s", "vendor": "gitlab", "parallelism": 4}
	change(m)
	b, _ := json.Marshal(m)
	return string(b)
}

func TestGatewayRefuses(t *testing.T) {
	tags := func(n, length int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("tag-%d", i)] = strings.Repeat("v", length)
		}
		return m
	}
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		g := startGateway(t, func(_ context.Context, h transport.Hello) error {
			switch h.Key.Reveal() {
			case "k":
				return nil
			case "broken":
				return errors.New("the database is on fire")
			}
			return &transport.Refusal{Code: transport.RefusedUnauthorized, Sentence: "unknown key", RetryAfter: 7 * time.Second}
		})
		for _, tc := range []struct {
			name, line string
			want       string // in the line the agent hears; "" if there's none
		}{
			{"wrong key", hello(func(m map[string]any) { m["key"] = "other" }), `"code":"unauthorized","sentence":"unknown key","retry_after":7`},
			{"store down", hello(func(m map[string]any) { m["key"] = "broken" }), `"code":"unavailable"`},
			{"later version", hello(func(m map[string]any) { m["version"] = 2; m["parallelism"] = "shaped otherwise" }), `speaks version 2 of the session exchange, this gateway version 1`},
			{"no version", hello(func(m map[string]any) { delete(m, "version") }), `"code":"protocol_version"`},
			{"not JSON", "GET / HTTP/1.1", `"code":"invalid_hello"`},
			{"another line first", `{"type":"ping"}`, `must be a hello`},
			{"wrong type", hello(func(m map[string]any) { m["parallelism"] = "4" }), `wrong type`},
			{"parallelism 0", hello(func(m map[string]any) { m["parallelism"] = 0 }), `parallelism is 0, allowed is 1 to 256`},
			{"parallelism 257", hello(func(m map[string]any) { m["parallelism"] = 257 }), `parallelism is 257`},
			{"65 tags", hello(func(m map[string]any) { m["tags"] = tags(65, 1) }), `there are 65 metadata tags, allowed are 64`},
			{"long tag", hello(func(m map[string]any) { m["tags"] = tags(1, 257) }), `longer than 256 bytes`},
			{"long instance", hello(func(m map[string]any) { m["instance"] = strings.Repeat("i", 257) }), `longer than 256 bytes`},
			{"long line", hello(func(m map[string]any) { m["later"] = strings.Repeat("x", transport.MaxLineBytes) }), ""},
		} {
			t.Run(tc.name, func(t *testing.T) {
				heard := make(chan string, 1)
				rawAgent(t, g, mode, says(heard, tc.line))
				got := receive(t, heard)
				if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
					t.Errorf("the agent heard %q, want %q in it", got, tc.want)
				}
				if err := receive(t, g.refused); err == nil {
					t.Error("no reason was given")
				}
			})
		}
		// Just inside every bound.
		t.Run("at the bounds", func(t *testing.T) {
			heard := make(chan string, 1)
			rawAgent(t, g, mode, says(heard, hello(func(m map[string]any) {
				m["parallelism"], m["tags"], m["later"] = 256, tags(64, 256), "unknown field"
			}), `{"type":"from a later version"}`))
			if got := receive(t, heard); !strings.Contains(got, `"type":"welcome"`) {
				t.Errorf("the agent heard %q", got)
			}
			if err := receive(t, g.refused); !strings.Contains(err.Error(), "ready") {
				t.Errorf("refused for %v, want that it wasn't ready", err)
			}
		})
	})
}

// A peer that connects and says nothing, or nonsense, is gone after the timeout
// with nothing left behind (TestMain checks for goroutines).
func TestGatewayDropsOddPeers(t *testing.T) {
	g := startGateway(t, nil)
	clientTLS := func(alpn ...string) *tls.Config {
		cfg, err := transport.ClientTLS(g.token(), nil)
		if err != nil {
			t.Fatal(err)
		}
		cfg.NextProtos = alpn
		return cfg
	}
	dropped := func(t *testing.T, conn net.Conn) {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(4 * silence))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) {
			t.Error("the connection is still open")
		}
		conn.Close()
		if err := receive(t, g.refused); err == nil {
			t.Error("no reason was given")
		}
	}
	tcp := func(t *testing.T) net.Conn {
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	t.Run("peers", func(t *testing.T) {
		t.Run("silent TCP", func(t *testing.T) {
			t.Parallel()
			dropped(t, tcp(t))
		})
		t.Run("garbage for TLS", func(t *testing.T) {
			t.Parallel()
			conn := tcp(t)
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			dropped(t, conn)
		})
		t.Run("half a TLS hello", func(t *testing.T) {
			t.Parallel()
			conn := tcp(t)
			conn.Write([]byte{0x16, 0x03, 0x01, 0x40, 0x00, 0x01})
			dropped(t, conn)
		})
		t.Run("no ALPN", func(t *testing.T) {
			t.Parallel()
			conn, err := tls.Dial("tcp", g.addr, clientTLS())
			if err != nil {
				t.Fatal(err)
			}
			dropped(t, conn)
		})
		t.Run("wrong ALPN", func(t *testing.T) {
			t.Parallel()
			if conn, err := tls.Dial("tcp", g.addr, clientTLS("h2", "http/1.1")); err == nil {
				conn.Close()
				t.Error("the handshake went through")
			}
			receive(t, g.refused)
		})
		t.Run("silent after TLS", func(t *testing.T) {
			t.Parallel()
			conn, err := tls.Dial("tcp", g.addr, clientTLS("rh2"))
			if err != nil {
				t.Fatal(err)
			}
			dropped(t, conn)
		})
		t.Run("garbage for HTTP/2", func(t *testing.T) {
			t.Parallel()
			conn, err := tls.Dial("tcp", g.addr, clientTLS("rh2"))
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, strings.Repeat("garbage", 1000))
			dropped(t, conn)
		})
		t.Run("wrong ALPN on QUIC", func(t *testing.T) {
			t.Parallel()
			if conn, err := quic.DialAddr(t.Context(), g.addr, clientTLS("h3"), nil); err == nil {
				conn.CloseWithError(0, "")
				t.Error("the handshake went through")
			}
		})
		t.Run("silent on QUIC", func(t *testing.T) {
			t.Parallel()
			conn, err := quic.DialAddr(t.Context(), g.addr, clientTLS("rh3"), &quic.Config{KeepAlivePeriod: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			receive(t, conn.Context().Done())
			receive(t, g.refused)
		})
		t.Run("garbage on QUIC", func(t *testing.T) {
			t.Parallel()
			conn, err := quic.DialAddr(t.Context(), g.addr, clientTLS("rh3"), &quic.Config{MaxIncomingStreams: 4})
			if err != nil {
				t.Fatal(err)
			}
			str, err := conn.AcceptStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(str, strings.Repeat("\x01\x40garbage", 1000))
			receive(t, g.refused)
			conn.CloseWithError(0, "")
		})
		t.Run("datagrams of noise", func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("udp", g.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for range 100 {
				conn.Write([]byte(strings.Repeat("\xc3noise", 200)))
			}
		})
	})
	t.Run("answers otherwise than 200", func(t *testing.T) {
		bothCarriers(t, func(t *testing.T, mode transport.Mode) {
			rawAgent(t, g, mode, http.NotFoundHandler())
			if err := receive(t, g.refused); !strings.Contains(err.Error(), "404") {
				t.Errorf("refused for %v", err)
			}
		})
	})
	// After all that a real agent gets in.
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s, _ := join(t, g, mode, 1, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		if resp := roundTrip(t, s, request(t, "GET", "/", nil)); resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

// serveRaw dials a hand-made gateway and runs the agent's side; it returns what
// Serve ends with.
func serveRaw(t *testing.T, g *gateway, mode transport.Mode) <-chan error {
	t.Helper()
	link := dial(t, g, mode, 4)
	served := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		served <- link.Serve(t.Context(), transport.Server{Hello: testHello(4), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "served")
		})})
	}()
	t.Cleanup(func() { link.Close(); receive(t, ended) })
	return served
}

// openExchange sends the session request with the given lines and returns the
// agent's first line.
func openExchange(t *testing.T, client http.RoundTripper, lines ...string) (first string, more *bufio.Reader, out *io.PipeWriter) {
	t.Helper()
	body, out := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "https://vcs-agent"+transport.SessionPath, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close(); resp.Body.Close() })
	more = bufio.NewReader(resp.Body)
	first, err = more.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		io.WriteString(out, l+"\n")
	}
	return first, more, out
}

func statusOf(t *testing.T, client http.RoundTripper, method, target string) int {
	t.Helper()
	resp := roundTrip(t, client, request(t, method, target, nil))
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

const welcome = `{"type":"welcome","session":"s","gateway":"g","software":"v"}`

func TestAgentGuardsItsSession(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		g, accept := rawGateway(t, mode)
		served := serveRaw(t, g, mode)
		client := accept()
		if got := statusOf(t, client, "GET", "/early"); got != http.StatusMisdirectedRequest {
			t.Errorf("a request before the session: %d", got)
		}
		if got := statusOf(t, client, "GET", transport.SessionPath); got != http.StatusMethodNotAllowed {
			t.Errorf("GET for the session: %d", got)
		}
		first, _, out := openExchange(t, client)
		if !strings.Contains(first, `"type":"hello","version":1,"key":"secret-key","pool_ulid":"pool"`) {
			t.Errorf("hello: %s", first)
		}
		if got := statusOf(t, client, "GET", "/early"); got != http.StatusMisdirectedRequest {
			t.Errorf("a request before the welcome: %d", got)
		}
		if got := statusOf(t, client, "POST", transport.SessionPath); got != http.StatusConflict {
			t.Errorf("a second session request: %d", got)
		}
		io.WriteString(out, `{"type":"welcome","session":"s"}`+"\n")
		eventually(t, func() bool { return statusOf(t, client, "GET", "/now") == 200 })
		if got := statusOf(t, client, "POST", transport.SessionPath); got != http.StatusConflict {
			t.Errorf("a second session request: %d", got)
		}
		out.Close()
		if err := receive(t, served); err == nil || !strings.Contains(err.Error(), "ended the session") {
			t.Errorf("Serve: %v", err)
		}
	})
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it didn't become true within 20 s")
		}
	}
}

func TestAgentAgainstOddGateways(t *testing.T) {
	t.Parallel()
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		for _, tc := range []struct{ name, line, want string }{
			{"refused", `{"type":"refused","code":"unauthorized","sentence":"no\u0007 such pool","retry_after":9}`, "refused the session (unauthorized): no%07 such pool"},
			{"garbage", "\x00\x01garbage", "not a JSON object"},
			{"something else first", `{"type":"drain"}`, `first line is "drain"`},
			{"a welcome without fields", `{"type":"welcome"}`, "not welcome or refused"},
			{"an endless line", strings.Repeat("x", transport.MaxLineBytes+1), "longer than 65536 bytes"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				g, accept := rawGateway(t, mode)
				served := serveRaw(t, g, mode)
				openExchange(t, accept(), tc.line)
				if err := receive(t, served); err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("Serve: %v, want %q", err, tc.want)
				}
			})
		}
		t.Run("a refusal can be told", func(t *testing.T) {
			g, accept := rawGateway(t, mode)
			served := serveRaw(t, g, mode)
			openExchange(t, accept(), `{"type":"refused","code":"draining","sentence":"bye","retry_after":9}`)
			var r *transport.Refusal
			if err := receive(t, served); !errors.As(err, &r) || r.Code != transport.RefusedDraining || r.RetryAfter != 9*time.Second {
				t.Errorf("Serve: %v", err)
			}
		})
		t.Run("silence", func(t *testing.T) {
			t.Parallel()
			g, accept := rawGateway(t, mode)
			served := serveRaw(t, g, mode)
			accept()
			if err := receive(t, served); err == nil || !strings.Contains(err.Error(), "said nothing for 3s") {
				t.Errorf("Serve: %v", err)
			}
		})
		t.Run("silence after the hello", func(t *testing.T) {
			t.Parallel()
			g, accept := rawGateway(t, mode)
			served := serveRaw(t, g, mode)
			openExchange(t, accept())
			if err := receive(t, served); err == nil || !strings.Contains(err.Error(), "said nothing for 3s") {
				t.Errorf("Serve: %v", err)
			}
		})
		t.Run("unknown lines are ignored", func(t *testing.T) {
			g, accept := rawGateway(t, mode)
			serveRaw(t, g, mode)
			_, more, out := openExchange(t, accept(), welcome, `{"type":"from a later version","field":1}`)
			for _, want := range []string{"ready", "ping"} {
				l, err := more.ReadString('\n')
				if err != nil || !strings.Contains(l, want) {
					t.Fatalf("line %q, %v, want %s", l, err, want)
				}
			}
			io.WriteString(out, `{"type":"drained"}`+"\n")
		})
	})
}

func TestDrain(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		g := startGateway(t, nil)
		link := dial(t, g, mode, 2)
		drain, asked := make(chan struct{}), make(chan struct{})
		inHandler, release := make(chan struct{}), make(chan struct{})
		served := make(chan error, 1)
		go func() {
			served <- link.Serve(t.Context(), transport.Server{
				Hello: testHello(2), Drain: drain, OnDrain: func() { close(asked) },
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(inHandler)
					<-release
					io.WriteString(w, "whole")
				}),
			})
		}()
		s := receive(t, g.sessions)
		s.Drain() // the gateway asks
		receive(t, asked)

		body := make(chan string, 1)
		go func() {
			resp, err := s.RoundTrip(request(t, "GET", "/", nil))
			if err != nil {
				body <- err.Error()
				return
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			body <- string(b)
		}()
		receive(t, inHandler)
		close(drain) // the agent asks
		receive(t, s.Draining())
		close(release)
		if got := receive(t, body); got != "whole" {
			t.Errorf("the request in flight got %q", got)
		}
		select {
		case err := <-served:
			t.Fatalf("the agent left before it was told that nothing more comes: %v", err)
		default:
		}
		s.Drained()
		if err := receive(t, served); err != nil {
			t.Errorf("Serve: %v", err)
		}
		receive(t, s.Done())
	})
}

// Either end's death ends the other's session.
func TestEndsAreNoticed(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		g := startGateway(t, nil)
		s, served := join(t, g, mode, 1, http.NotFoundHandler())
		s.Close()
		receive(t, s.Done())
		if err := receive(t, served); err == nil {
			t.Error("the agent's Serve ended without a reason")
		}
	})
}

func TestRTT(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		g := startGateway(t, nil)
		link := dial(t, g, mode, 1)
		ended := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(ended)
			link.Serve(ctx, transport.Server{Hello: testHello(1), Handler: http.NotFoundHandler()})
		}()
		eventually(t, func() bool { return link.RTT() > 0 })
		cancel()
		receive(t, ended)
	})
}
