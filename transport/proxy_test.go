package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"vcsagent/transport"
)

// fakeProxy serves each connection with one function.
type fakeProxy struct {
	url  *url.URL
	seen chan string // what was asked for, and with which user and password
}

func startProxy(t *testing.T, scheme string, user *url.Userinfo, serve func(p *fakeProxy, c net.Conn)) *fakeProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if scheme == "https" {
		cert := chain(issue(systemCA, nil))
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	p := &fakeProxy{url: &url.URL{Scheme: scheme, User: user, Host: l.Addr().String()}, seen: make(chan string, 16)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(p, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return p
}

// connectTo is a CONNECT proxy that wants user and password, unless they're "".
func connectTo(want string) func(*fakeProxy, net.Conn) {
	return func(p *fakeProxy, c net.Conn) {
		br := bufio.NewReader(c)
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		p.seen <- r.Method + " " + r.RequestURI + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		if want != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(want)) {
			io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
			return
		}
		tunnel(c, br, r.RequestURI, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
	}
}

// tunnel says ok and copies both ways until either ends.
func tunnel(c net.Conn, from io.Reader, addr, ok string) {
	up, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer up.Close()
	io.WriteString(c, ok)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(up, from)
		up.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(c, up)
	c.Close()
	<-done
}

func answer(text string) func(*fakeProxy, net.Conn) {
	return func(p *fakeProxy, c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, text)
		io.Copy(io.Discard, c) // until the dialler hangs up
	}
}

// socks is a SOCKS5 server (RFC 1928, RFC 1929) for CONNECT by name or IPv4.
func socks(want string) func(*fakeProxy, net.Conn) {
	return func(p *fakeProxy, c net.Conn) {
		br := bufio.NewReader(c)
		read := func(n int) []byte {
			b := make([]byte, n)
			io.ReadFull(br, b)
			return b
		}
		methods := read(int(read(2)[1]))
		auth := ""
		if want != "" {
			if !strings.Contains(string(methods), "\x02") {
				c.Write([]byte{5, 0xff})
				return
			}
			c.Write([]byte{5, 2})
			auth = string(read(int(read(2)[1])))
			auth += ":" + string(read(int(read(1)[0])))
			if auth != want {
				c.Write([]byte{1, 1})
				return
			}
			c.Write([]byte{1, 0})
		} else {
			c.Write([]byte{5, 0})
		}
		var host string
		switch read(4)[3] {
		case 1:
			host = net.IP(read(4)).String()
		case 3:
			host = string(read(int(read(1)[0])))
		}
		addr := net.JoinHostPort(host, itoa(binary.BigEndian.Uint16(read(2))))
		p.seen <- "SOCKS " + addr + " " + auth
		tunnel(c, br, addr, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	}
}

func itoa(n uint16) string { return (&net.TCPAddr{Port: int(n)}).String()[1:] }

func through(t *testing.T, g *gateway, p *url.URL) *transport.Dialer {
	t.Helper()
	d := dialer(t, g, transport.ModeAuto, 4)
	d.Proxy = func(u *url.URL) (*url.URL, error) {
		if u.Scheme != "https" || u.Host != g.addr {
			t.Errorf("the proxy was asked for with %s", u)
		}
		return p, nil
	}
	return d
}

func TestProxies(t *testing.T) {
	basic := func(s string) string { return " Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	user := url.UserPassword("us er", "s3cret:@/%")
	for _, tc := range []struct {
		name, scheme string
		user         *url.Userinfo
		serve        func(*fakeProxy, net.Conn)
		asked        string // with ADDR for the gateway's address
	}{
		{"CONNECT", "http", nil, connectTo(""), "CONNECT ADDR ADDR "},
		{"CONNECT with password", "http", user, connectTo("us er:s3cret:@/%"), "CONNECT ADDR ADDR" + basic("us er:s3cret:@/%")},
		{"CONNECT with a user alone", "http", url.User("only"), connectTo("only:"), "CONNECT ADDR ADDR" + basic("only:")},
		{"HTTPS", "https", nil, connectTo(""), "CONNECT ADDR ADDR "},
		{"HTTPS with password", "https", user, connectTo("us er:s3cret:@/%"), "CONNECT ADDR ADDR" + basic("us er:s3cret:@/%")},
		{"SOCKS5", "socks5", nil, socks(""), "SOCKS ADDR "},
		{"SOCKS5 with password", "socks5", user, socks("us er:s3cret:@/%"), "SOCKS ADDR us er:s3cret:@/%"},
		{"SOCKS5h", "socks5h", nil, socks(""), "SOCKS ADDR "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := startGateway(t, nil)
			p := startProxy(t, tc.scheme, tc.user, tc.serve)
			link, err := through(t, g, p.url).Dial(t.Context(), g.addr)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := receive(t, p.seen), strings.ReplaceAll(tc.asked, "ADDR", g.addr); got != want {
				t.Errorf("the proxy saw %q, want %q", got, want)
			}
			if link.Carrier != transport.TCP || link.Why != "HTTPS_PROXY applies to the gateway" {
				t.Errorf("carrier %s, since %s", link.Carrier, link.Why)
			}
			if !strings.Contains(link.Proxy, p.url.Host) || !strings.HasPrefix(link.Proxy, tc.scheme+"://") || strings.Contains(link.Proxy, "s3cret") || strings.Contains(link.Proxy, "us") {
				t.Errorf("the proxy is shown as %s", link.Proxy)
			}
			// The whole session runs through it.
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() {
				served <- link.Serve(ctx, transport.Server{Hello: testHello(4), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "through")
				})})
			}()
			resp := roundTrip(t, receive(t, g.sessions), request(t, "GET", "/", nil))
			if got := readAll(t, resp.Body); got != "through" {
				t.Errorf("body %q", got)
			}
			cancel()
			receive(t, served)
		})
	}
}

func TestProxiesThatFail(t *testing.T) {
	user := url.UserPassword("user", "s3cret")
	for _, tc := range []struct {
		name, scheme string
		serve        func(*fakeProxy, net.Conn)
		want         string
	}{
		{"wants another password", "http", connectTo("user:other"), "it wants a user and password, or other ones than the URL has (407)"},
		{"refuses", "http", answer("HTTP/1.1 403 Not\x1b[2J allowed\r\nContent-Length: 0\r\n\r\n"), "it refused CONNECT to ADDR: 403 Not%1B[2J allowed"},
		{"redirects", "http", answer("HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n"), "it refused CONNECT to ADDR: 302 Found"},
		{"answers garbage", "http", answer("SSH-2.0-OpenSSH_9.9\r\n\r\n"), "read its answer to CONNECT"},
		{"hangs up", "http", func(_ *fakeProxy, c net.Conn) { http.ReadRequest(bufio.NewReader(c)) }, "read its answer to CONNECT"},
		{"sends headers without end", "http", func(_ *fakeProxy, c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X: "+strings.Repeat("a", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}, "read its answer to CONNECT"},
		{"speaks before the gateway may", "http", answer("HTTP/1.1 200 OK\r\n\r\nhello"), "it sent data before the tunnel carried any"},
		{"is no gateway behind", "http", func(_ *fakeProxy, c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			c.Read(make([]byte, 1))
			io.WriteString(c, "no TLS here")
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
		}, "TLS to the gateway"},
		{"speaks no TLS itself", "https", nil, "TLS to the proxy"},
		{"refuses by SOCKS", "socks5", func(_ *fakeProxy, c net.Conn) {
			c.Read(make([]byte, 16))
			c.Write([]byte{5, 0xff})
		}, "no acceptable authentication methods"},
		{"wants another SOCKS password", "socks5", socks("user:other"), "username/password authentication failed"},
		{"answers SOCKS with garbage", "socks5", func(_ *fakeProxy, c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "unexpected protocol version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := startGateway(t, nil)
			var p *url.URL
			if tc.serve == nil { // TLS to a proxy in clear
				clear := *startProxy(t, "http", user, answer("HTTP/1.1 400 Bad Request\r\n\r\n")).url
				clear.Scheme = "https"
				p = &clear
			} else {
				p = startProxy(t, tc.scheme, user, tc.serve).url
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := through(t, g, p).Dial(ctx, g.addr)
			if err == nil {
				t.Fatal("connected")
			}
			if want := strings.ReplaceAll(tc.want, "ADDR", g.addr); !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			if strings.Contains(err.Error(), "s3cret") || tc.scheme != "socks5" && tc.want != "TLS to the gateway" && !strings.Contains(err.Error(), "proxy "+tc.scheme+"://xxxxx:xxxxx@") {
				t.Errorf("the proxy isn't named, or its password is: %v", err)
			}
		})
	}
}

// A proxy that takes the connection and says nothing holds a dial no longer than
// its context, whatever the proxy's kind.
func TestSilentProxy(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5"} {
		t.Run(scheme, func(t *testing.T) {
			g := startGateway(t, nil)
			reached := make(chan struct{}, 1)
			p := startProxy(t, "http", nil, func(_ *fakeProxy, c net.Conn) {
				c.Read(make([]byte, 1))
				reached <- struct{}{}
				io.Copy(io.Discard, c)
			})
			p.url.Scheme = scheme
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() {
				_, err := through(t, g, p.url).Dial(ctx, g.addr)
				failed <- err
			}()
			receive(t, reached)
			cancel()
			if err := receive(t, failed); err == nil {
				t.Error("connected")
			}
		})
	}
}

func TestProxyURLsThatCannotBe(t *testing.T) {
	g := startGateway(t, nil)
	ftp, _ := url.Parse("ftp://user:s3cret@127.0.0.1:1")
	if _, err := through(t, g, ftp).Dial(t.Context(), g.addr); err == nil || !strings.Contains(err.Error(), "its scheme must be one of [http https socks5 socks5h]") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("ftp: %v", err)
	}
	d := dialer(t, g, transport.ModeTCP, 4)
	broken := "http://user:s3cret@%zz"
	d.Proxy = func(*url.URL) (*url.URL, error) { return url.Parse(broken) }
	if _, err := d.Dial(t.Context(), g.addr); err == nil || !strings.Contains(err.Error(), "HTTPS_PROXY is not a proxy's URL") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("broken URL: %v", err)
	}
	d.Proxy = func(*url.URL) (*url.URL, error) { return nil, errors.New("user:s3cret") }
	if _, err := d.Dial(t.Context(), g.addr); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("other error: %v", err)
	}
}

func TestMaskProxy(t *testing.T) {
	for raw, want := range map[string]string{
		"http://10.10.1.1:8888":              "http://10.10.1.1:8888",
		"http://user:s3cret@10.10.1.1:8888":  "http://xxxxx:xxxxx@10.10.1.1:8888",
		"socks5://s3cret@proxy.example:1080": "socks5://xxxxx:xxxxx@proxy.example:1080",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := transport.MaskProxy(u); got != want {
			t.Errorf("%s is shown as %s", raw, got)
		}
		if u.String() != raw {
			t.Errorf("the URL itself was changed to %s", u)
		}
	}
	if got := transport.MaskProxy(nil); got != "" {
		t.Errorf("no proxy is shown as %q", got)
	}
}
