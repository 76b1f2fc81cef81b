package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConns is how many connections each of the HTTP listeners keeps; what comes
	// beyond them is closed at once. One without a key has headerTimeout for its first
	// request, on HTTP/2 idleTimeout, and the answer is its last.
	maxConns = 16384
	// fullEvery is how often the log says that there are as many.
	fullEvery = time.Minute
)

// server is one of the HTTP listeners. It knows its connections, so that a
// shutdown can wait for the last, and tells in the log of those that sent
// something and never got as far as a request: net/http answers these itself.
type server struct {
	*http.Server
	name     string
	listener net.Listener // nil if the listener isn't wanted
	log      *slog.Logger
	maxConns int64
	open     atomic.Int64 // connections
	conns    sync.WaitGroup
}

func newServer(name string, h http.Handler, log *slog.Logger) *server {
	s := &server{name: name, log: log, maxConns: maxConns}
	s.Server = &http.Server{
		Handler:           arrived(h),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: callerHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is refused and logged like any other target
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, connOf(c))
		},
		ConnState: s.follow,
	}
	return s
}

// listen binds the address.
func (s *server) listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.listener = &connListener{TCPListener: l.(*net.TCPListener), server: s}
	return nil
}

// serve serves until the server is shut down or closed.
func (s *server) serve() error {
	if s.TLSConfig != nil {
		return s.ServeTLS(s.listener, "", "")
	}
	return s.Serve(s.listener)
}

// follow is the server's ConnState.
func (s *server) follow(nc net.Conn, state http.ConnState) {
	c := connOf(nc)
	switch state {
	case http.StateNew:
		s.conns.Add(1)
		s.open.Add(1)
	case http.StateActive: // something was read
		c.reading.Store(true)
	case http.StateIdle:
		c.reading.Store(false)
	case http.StateClosed:
		if c.reading.Load() {
			s.log.Info("refused a connection: what it sent is no request, or its header was too large or too slow", "listener", s.name, "remote", nc.RemoteAddr().String())
		}
		s.open.Add(-1)
		s.conns.Done()
	}
}

// arrived notes that what a connection sent was a request.
func arrived(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Context().Value(connKey{}).(*conn).reading.Store(false)
		next.ServeHTTP(w, r)
	})
}

type connKey struct{}

// conn is a connection to one of the HTTP listeners.
type conn struct {
	*net.TCPConn
	reading atomic.Bool // it sent something that is no request yet
}

func connOf(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*conn)
}

// connListener accepts conns, as many as its server keeps.
type connListener struct {
	*net.TCPListener
	server *server
	told   time.Time // when the log said that there are too many
	closed int       // since
}

// Accept implements net.Listener. Waiting for one to end would keep those that come
// waiting too, among them whoever could do something about it.
func (l *connListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if l.server.open.Load() < l.server.maxConns {
			return acceptedFrom(c), nil
		}
		c.Close()
		l.closed++
		if time.Since(l.told) >= fullEvery {
			l.server.log.Warn("closed connections: the listener has as many as it keeps", "listener", l.server.name, "closed", l.closed, "connections", l.server.maxConns, "remote", c.RemoteAddr().String())
			l.told, l.closed = time.Now(), 0
		}
	}
}
