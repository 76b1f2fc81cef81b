package gateway_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"vcsagent/transport"
)

// An agent that takes none of the gateway's lines, with a window that is full of
// pongs it asked for, doesn't hold the gateway's shutdown up.
func TestStuckAgentDoesNotHoldShutdownUp(t *testing.T) {
	f := start(t)
	token := f.TokenFor(f.pool, poolKey)
	cfg, err := transport.ClientTLS(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.NextProtos = []string{"rh2"}
	conn, err := tls.Dial("tcp", token.Host, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var pings atomic.Int64
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Protocols: protocols,
		HTTP2:     &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReceiveBufferPerConnection: 64 << 10},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			fmt.Fprintf(w, `{"type":"hello","version":1,"pool_ulid":%q,"key":%q,"instance":"stuck","parallelism":1}`+"\n", token.PoolID, token.Key.Reveal())
			rc.Flush()
			if _, err := bufio.NewReaderSize(r.Body, 16).ReadString('\n'); err != nil { // welcome
				t.Error(err)
				return
			}
			io.WriteString(w, `{"type":"ready"}`+"\n")
			for seq := 1; ; seq++ {
				if _, err := fmt.Fprintf(w, `{"type":"ping","seq":%d}`+"\n", seq); err != nil || rc.Flush() != nil {
					return
				}
				pings.Add(1)
			}
		}),
	}
	served := make(chan struct{})
	l := &oneConn{conn: struct{ net.Conn }{conn}, closed: make(chan struct{})}
	go func() { defer close(served); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); conn.Close(); receive(t, served) })

	// Stuck is when the gateway reads no more pings, since its pongs aren't taken.
	var last int64
	still := 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	await(t, "the gateway to be stuck", func() bool {
		<-tick.C
		if now := pings.Load(); now == 0 || now != last {
			last, still = now, 0
		} else {
			still++
		}
		return still == 10
	})
	if err := f.stop(); err != nil {
		t.Error(err)
	}
}

// oneConn is a listener of one connection.
type oneConn struct {
	conn   net.Conn
	taken  bool
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
