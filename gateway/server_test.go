package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway"
	"vcsagent/gateway/ca"
)

const refusedConn = "refused a connection: what it sent is no request, or its header was too large or too slow"

// What is no request is refused with the right status and told once; what is
// silent is dropped without a word.
func TestConnectionsThatSendNoRequest(t *testing.T) {
	for _, tt := range []struct {
		name, sent string
		status     int // 0: no answer
		lines      int
	}{
		{"nothing", "", 0, 0},
		{"an empty line", "\r\n", 400, 1},
		{"garbage", "\x00\x01\x02 what\r\n\r\n", 400, 1},
		{"TLS to a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, 1},
		{"an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404, 0}, // to net/http it's a request
		{"an unknown version", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, 1},
		{"a header that is none", "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, 1},
		{"a folded name", "GET / HTTP/1.1\r\nHost: x\r\nVCS-Gateway-Key : k\r\n\r\n", 400, 1},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, 1},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, 1},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, 1},
		{"a huge target", "GET /" + strings.Repeat("a", 200<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, 1},
		{"a huge header", "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 200<<10) + "\r\n\r\n", 431, 1},
		{"half a request", "GET / HTTP/1.1\r\nHost: x\r\n", 400, 1},
		{"a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t)
			conn := f.raw(t, "")
			go func() { // more may be sent than is read
				io.WriteString(conn, tt.sent)
				conn.CloseWrite()
			}()
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			switch {
			case tt.status == 0 && err == nil:
				t.Errorf("status %d", resp.StatusCode)
			case tt.status != 0 && (err != nil || resp.StatusCode != tt.status):
				t.Errorf("%v, %v, want status %d", resp, err, tt.status)
			}
			if err := f.stop(); err != nil { // every connection has ended then
				t.Error(err)
			}
			if lines := f.log.lines(refusedConn); len(lines) != tt.lines || tt.lines == 1 && (lines[0]["listener"] != "http" || lines[0]["remote"] != conn.LocalAddr().String()) {
				t.Errorf("%d lines, want %d: %v", len(lines), tt.lines, lines)
			}
		})
	}
}

// A header that comes a byte at a time is cut off after ten seconds, however
// many send theirs so, and others are served meanwhile.
func TestSlowHeader(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.join(t, options{}, answer("served"))
	began := time.Now()
	for range 50 {
		conn := f.raw(t, "GET /private/gitlab/x HTTP/1.1\r\nHost: gw\r\n")
		ctx, cancel := context.WithCancel(t.Context())
		dripped := make(chan struct{})
		go func() {
			defer close(dripped)
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
				case <-ctx.Done():
					return
				}
			}
		}()
		t.Cleanup(func() { cancel(); <-dripped })
	}
	if resp, body := f.get(t, "/x"); resp.StatusCode != 200 {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
	await(t, "50 lines", func() bool { return len(f.log.lines(refusedConn)) == 50 })
	if took := time.Since(began); took < 9*time.Second || took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// With a certificate the callers' listener speaks TLS, HTTP/2 too.
func TestCallersOverTLS(t *testing.T) {
	dir := t.TempDir()
	own, err := ca.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	for _, file := range []string{cert, key} {
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err, own.SHA256())
		}
	}
	f := start(t, func(c *gateway.Config) { c.HTTPTLSCert, c.HTTPTLSKey = cert, key })
	rec := &recorder{answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/there")
		w.WriteHeader(302)
	}}
	f.join(t, options{}, rec.ServeHTTP)
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			tr := &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer tr.CloseIdleConnections()
			c := &http.Client{Transport: tr, CheckRedirect: client.CheckRedirect}
			for _, body := range []string{"", "body"} {
				r := f.request(t, "POST", "/x", strings.NewReader(body))
				r.URL.Scheme = "https"
				resp, err := c.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if want := "https://" + f.Addr("http") + "/private/gitlab/there"; resp.StatusCode != 302 || resp.Proto != proto || resp.Header.Get("Location") != want {
					t.Errorf("%s %d, %v", resp.Proto, resp.StatusCode, resp.Header)
				}
				if got, gotBody := rec.one(t); gotBody != body || got.RequestURI != "/x" {
					t.Errorf("the agent got %s with %q", got.RequestURI, gotBody)
				}
			}
			r := f.request(t, "POST", "/x", strings.NewReader("body"))
			r.URL.Scheme = "https"
			r.Header.Del(gateway.KeyHeader)
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 401 {
				t.Errorf("without a key: %d", resp.StatusCode)
			}
		})
	}
	conn := f.raw(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 400 {
		t.Errorf("in clear: %v, %v", resp, err)
	}
}

// Who shows no key keeps no connection.
func TestConnectionsWithoutAKeyAreClosed(t *testing.T) {
	f := start(t)
	for request, status := range map[string]int{
		"GET /x":                              404,
		"GET /private/gitlab/x":               401,
		"GET http://gitlab.private/x":         407,
		"OPTIONS *":                           404,
		"CONNECT gitlab.private:443":          407,
		"GET /private/gitlab/x?key=wrong":     401,
		"GET http://user:x@gitlab.private/x":  407,
		"DELETE http://gitlab.private/x?y=z#": 407,
	} {
		t.Run(request, func(t *testing.T) {
			in := bufio.NewReader(f.raw(t, request+" HTTP/1.1\r\nHost: gw\r\n\r\n"))
			resp, err := http.ReadResponse(in, nil)
			if err != nil || !resp.Close {
				t.Fatal(resp, err)
			}
			if io.Copy(io.Discard, resp.Body); resp.StatusCode != status {
				t.Errorf("status %d, want %d", resp.StatusCode, status)
			}
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("the connection isn't closed: %v", err)
			}
		})
	}
}

// A listener keeps so many connections: others are closed at once, which the log
// says, until one has ended.
func TestConnectionsAreBounded(t *testing.T) {
	for _, listener := range []string{"http", "admin"} {
		t.Run(listener, func(t *testing.T) {
			f := create(t)
			f.SetMaxConns(listener, 2)
			f.run(t)
			dial := func() (net.Conn, *bufio.Reader) {
				conn, err := net.Dial("tcp", f.Addr(listener))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				conn.SetDeadline(time.Now().Add(patience))
				return conn, bufio.NewReader(conn)
			}
			first, in := dial()
			dial()
			_, beyond := dial()
			if _, err := beyond.ReadByte(); err == nil {
				t.Error("the third got an answer")
			}
			line := f.log.await(t, "closed connections: the listener has as many as it keeps", "listener", listener)
			if line["closed"] != 1.0 || line["connections"] != 2.0 {
				t.Errorf("%v", line)
			}
			get := func(conn net.Conn, in *bufio.Reader) error {
				io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
				_, err := http.ReadResponse(in, nil)
				return err
			}
			if err := get(first, in); err != nil {
				t.Errorf("the first: %v", err)
			}
			await(t, "a place", func() bool { return get(dial()) == nil })
		})
	}
}
