package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vcsagent/gateway/api"
	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// fixture is a gateway's API on a server of its own, which is held to
// openapi.yaml, and the clients' keys. It is all in memory but for the store, so
// that it can be had in a bubble of testing/synctest.
type fixture struct {
	url     string
	dir     string // the data folder
	store   *store.Store
	log     *syncBuffer
	http    *http.Client
	handler http.Handler
	listen  *pipeListener
	admin   transport.Secret
	caller  transport.Secret // may call the pool "gitlab"

	mu        sync.Mutex
	agents    map[string][]control.Connection
	changed   []string // the pools that were told to have changed
	check     func(context.Context, store.Pool) control.Check
	followers map[chan store.Request]bool
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{url: "http://gateway.test", dir: t.TempDir(), log: &syncBuffer{}, listen: newPipeListener(),
		agents: map[string][]control.Connection{}, followers: map[chan store.Request]bool{}}
	var err error
	if f.store, err = store.Open(t.Context(), filepath.Join(f.dir, store.FileName)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.store.Close() })
	if created, err := control.EnsureAdminKey(t.Context(), f.store, f.dir); err != nil || !created {
		t.Fatalf("EnsureAdminKey = %v, %v", created, err)
	}
	if f.admin, err = control.ReadAdminKey(f.dir); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	handler := api.New(api.Config{Logger: logger, Control: &control.Control{
		Store: f.store,
		Token: func(p store.Pool, key transport.Secret) transport.Token {
			return transport.Token{Host: "gateway.example:8443", PoolID: p.ID, Key: key, CASHA256: strings.Repeat("ab", 32)}
		},
		Live: control.Live{
			Connections: func(poolID string) []control.Connection {
				f.mu.Lock()
				defer f.mu.Unlock()
				return f.agents[poolID]
			},
			Changed: func(poolID string) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.changed = append(f.changed, poolID)
			},
			Check:  func(ctx context.Context, p store.Pool) control.Check { return f.check(ctx, p) },
			Follow: f.follow,
		},
		Version: "1.2.3",
		Logger:  logger,
	}})
	// As the gateway's: see newServer there.
	f.handler = described(t, handler)
	server := &http.Server{Handler: f.handler, ReadTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(f.listen)
	}()
	f.http = &http.Client{Transport: &http.Transport{DialContext: f.listen.dial}}
	t.Cleanup(func() {
		f.http.CloseIdleConnections()
		server.Close()
		<-served
	})
	client := f.client(t, f.admin)
	if _, err := client.CreatePool(t.Context(), api.NewPool{Name: "gitlab", Description: "The company's GitLab"}); err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateKey(t.Context(), api.NewKey{Name: "backend", Pools: []string{"gitlab"}})
	if err != nil {
		t.Fatal(err)
	}
	f.caller = key.Secret
	return f
}

// client is one that shows a key.
func (f *fixture) client(t *testing.T, key transport.Secret) *api.Client {
	t.Helper()
	c, err := api.NewClient(f.url, key, f.http)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// send makes a request with the header Authorization as given ("" for none).
func (f *fixture) send(t *testing.T, method, path, authorization, body string) (*http.Response, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusNoContent && len(data) == 0 {
		return resp, nil
	}
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatalf("%s %s answered %s, not a JSON object: %q", method, path, resp.Status, data)
	}
	return resp, object
}

// ask is send with the admin's key, which must be answered with the status.
func (f *fixture) ask(t *testing.T, method, path, body string, status int) map[string]any {
	t.Helper()
	resp, answer := f.send(t, method, path, "Bearer "+f.admin.Reveal(), body)
	if resp.StatusCode != status {
		t.Fatalf("%s %s answered %s, want %d: %v", method, path, resp.Status, status, answer)
	}
	return answer
}

// pool returns a pool as it is stored.
func (f *fixture) pool(t *testing.T, name string) store.Pool {
	t.Helper()
	p, err := f.store.PoolByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// connect gives a pool live sessions.
func (f *fixture) connect(poolID string, connections ...control.Connection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.agents[poolID] = connections
}

// connection is a session that serves some of the requests it can.
func connection(parallelism, inFlight int) control.Connection {
	return control.Connection{Parallelism: parallelism, InFlight: inFlight, Carrier: transport.QUIC}
}

// follow is the running gateway's control.Live.Follow, with room for a few.
func (f *fixture) follow(ctx context.Context) <-chan store.Request {
	c := make(chan store.Request, 16)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers[c] = true
	context.AfterFunc(ctx, func() { f.unfollow(c) })
	return c
}

func (f *fixture) unfollow(c chan store.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers[c] {
		delete(f.followers, c)
		close(c)
	}
}

// record stores requests and tells those who follow.
func (f *fixture) record(t *testing.T, requests ...store.Request) []store.Request {
	t.Helper()
	if err := f.store.AddRequests(t.Context(), requests); err != nil {
		t.Fatal(err)
	}
	f.tell(requests...)
	return requests
}

func (f *fixture) tell(requests ...store.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.followers {
		for _, r := range requests {
			c <- r
		}
	}
}

// hangUp ends all that follow, as a gateway does that shuts down.
func (f *fixture) hangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.followers {
		delete(f.followers, c)
		close(c)
	}
}

// following counts those who follow.
func (f *fixture) following() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.followers)
}

// pipeListener hands the ends of pipes to a server.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// dial is for a http.Transport.
func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "192.0.2.7:1000" }

// syncBuffer is a buffer that the server's goroutines write to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *syncBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}
