package store_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"vcsagent/gateway/store"
	"vcsagent/test/servers"
)

// A batch is stored once, or an error says that it isn't, whichever way the
// connection breaks at its commit.
func TestRequestsAreStoredOnceWhenACommitIsLost(t *testing.T) {
	b := postgresBackend(servers.Postgres(t))
	location := b.location(t)
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	line := newLine(t, u.Host)
	u.Host = line.Addr().String()
	st := open(t, u.String())
	count := func() (n int) {
		t.Helper()
		var counted int
		if err := b.db(t, location).QueryRow("SELECT COUNT(*), (SELECT COALESCE(SUM(failed), 0) FROM traffic WHERE pool_id = '') FROM requests").Scan(&n, &counted); err != nil || n != counted {
			t.Errorf("%d requests are stored and %d counted, %v", n, counted, err)
		}
		return n
	}

	line.cut.Store(cutAnswer)
	requests := []store.Request{{ID: "a"}, {ID: "b"}}
	addRequests(t, st, requests...)
	if got := ids(t, st, store.RequestFilter{}); got != "b a" || count() != 2 || requests[1].Seq <= requests[0].Seq {
		t.Errorf("after an answer was lost %q is stored; the requests are %+v", got, requests)
	}

	line.cut.Store(cutCommit)
	requests = []store.Request{{ID: "c", At: noon.Add(1e12)}, {ID: "d", At: noon.Add(2e12)}}
	if err := st.AddRequests(t.Context(), requests); err == nil || requests[0].Seq != 0 || count() != 2 {
		t.Errorf("after the commit was lost: %v, %+v", err, requests)
	}
	addRequests(t, st, requests...)
	if got := ids(t, st, store.RequestFilter{}); got != "d c b a" || count() != 4 {
		t.Errorf("after they were added again %q is stored", got)
	}
	if line.cut.Load() != cutNothing {
		t.Error("no commit was seen to be cut")
	}
}

// What a line does at the next commit that it sees.
const (
	cutNothing int32 = iota
	cutAnswer        // passes it on and breaks when its answer comes
	cutCommit        // breaks before it is passed on
)

// line passes connections on to a server.
type line struct {
	net.Listener
	server string
	cut    atomic.Int32
	ends   sync.WaitGroup
}

// newLine makes a line that ends with the test.
func newLine(t *testing.T, server string) *line {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{Listener: l, server: server}
	n.ends.Go(n.accept)
	t.Cleanup(func() {
		l.Close()
		n.ends.Wait()
	})
	return n
}

func (n *line) accept() {
	for {
		client, err := n.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", n.server)
		if err != nil {
			client.Close()
			continue
		}
		var deaf atomic.Bool // the client hears nothing more
		n.ends.Go(func() {
			defer client.Close()
			defer server.Close()
			pass(server, client, func(sent []byte) error {
				if !bytes.Contains(bytes.ToLower(sent), []byte("commit\x00")) {
					return nil
				}
				switch n.cut.Swap(cutNothing) {
				case cutAnswer:
					deaf.Store(true)
				case cutCommit:
					return errors.New("cut")
				}
				return nil
			})
		})
		n.ends.Go(func() {
			defer client.Close()
			defer server.Close()
			pass(client, server, func([]byte) error {
				if deaf.Load() {
					return errors.New("cut")
				}
				return nil
			})
		})
	}
}

// pass passes on what look doesn't mind, until an end closes.
func pass(to io.Writer, from io.Reader, look func([]byte) error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if look(buf[:n]) != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
