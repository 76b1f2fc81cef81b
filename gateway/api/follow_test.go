package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway/api"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// watcher follows the log with a client of its own.
type watcher struct {
	t      *testing.T
	got    chan api.Request
	lost   chan error
	ended  chan error
	cancel context.CancelFunc
}

// watch begins to follow. In a bubble synctest.Wait tells that it has connected.
func (f *fixture) watch(t *testing.T, key transport.Secret, filter api.RequestFilter) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{t: t, got: make(chan api.Request, 100), lost: make(chan error, 100), ended: make(chan error, 1), cancel: cancel}
	client := f.client(t, key)
	go func() {
		w.ended <- client.FollowRequests(ctx, filter, func(r api.Request) error {
			w.got <- r
			return nil
		}, func(err error) { w.lost <- err })
	}()
	return w
}

// ids are those that came until all is quiet.
func (w *watcher) ids() []string {
	synctest.Wait()
	var ids []string
	for len(w.got) > 0 {
		ids = append(ids, (<-w.got).ID)
	}
	return ids
}

func (w *watcher) expect(want ...string) {
	w.t.Helper()
	if got := w.ids(); !slices.Equal(got, want) {
		w.t.Errorf("got %v, want %v", got, want)
	}
}

// stop ends it and returns what it says.
func (w *watcher) stop() error {
	w.cancel()
	return <-w.ended
}

func request(id, outcome string) store.Request {
	at := time.Now().Add(123456789) // finer than what is stored
	return store.Request{ID: id, At: at, Total: 1234567, Outcome: outcome, Method: "GET", Path: "/"}
}

func TestFollowersGetRequestsAsTheyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.record(t, request("past", "served"))
		all, denied := f.watch(t, f.admin, api.RequestFilter{}), f.watch(t, f.admin, api.RequestFilter{Outcome: "denied"})
		all.expect()
		stored := f.record(t, request("1", "served"), request("2", "denied"))
		synctest.Wait()
		if r := <-all.got; r.ID != "1" || r.Seq != stored[0].Seq || r.Outcome != "served" ||
			r.Time != stored[0].At.UTC().Truncate(time.Microsecond) || r.Elapsed != 0.001234 {
			t.Errorf("got %+v, want %+v", r, stored[0])
		}
		all.expect("2")
		denied.expect("2")
		long := request("not stored", "denied")
		long.Path = "/" + strings.Repeat("\x01", 100<<10) // six bytes each in JSON
		f.tell(long)
		all.expect("not stored")
		denied.expect("not stored")
		for _, w := range []*watcher{all, denied} {
			if err := w.stop(); !errors.Is(err, context.Canceled) || len(w.lost) > 0 {
				t.Errorf("ended with %v, %d lost", err, len(w.lost))
			}
		}
	})
}

// Whatever breaks the connection, no request is missed and none comes twice.
func TestFollowersGoOnWhereTheyWere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		long := request("past, and long under way", "served")
		time.Sleep(time.Minute)
		f.record(t, request("past", "served"), long)
		w := f.watch(t, f.admin, api.RequestFilter{})
		w.expect()
		for round, each := range []bool{false, true, true} { // the first time before any has come
			if each {
				f.record(t, request(fmt.Sprint(round, "a"), "served"))
				w.expect(fmt.Sprint(round, "a"))
			}
			f.hangUp() // as at a restart
			synctest.Wait()
			if err := <-w.lost; !strings.Contains(err.Error(), "ended the stream") {
				t.Errorf("lost is told %v", err)
			}
			f.record(t, request(fmt.Sprint(round, "b"), "served"), request(fmt.Sprint(round, "c"), "served"))
			time.Sleep(10 * time.Second) // longer than the first wait
			w.expect(fmt.Sprint(round, "b"), fmt.Sprint(round, "c"))
		}
		w.stop()
	})
}

// A stream lives on for hours, with the server's limit on reading requests and
// the client's on answers.
func TestAStreamIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.http.Timeout = 30 * time.Second
		w := f.watch(t, f.admin, api.RequestFilter{})
		w.expect()
		time.Sleep(5 * time.Hour)
		f.record(t, request("late", "served"))
		w.expect("late")
		if len(w.lost) > 0 {
			t.Errorf("it was connected again: %v", <-w.lost)
		}
		w.stop()
	})
}

func TestWhatAStreamLooksLike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		last := f.record(t, request("past", "served"))[0].Seq
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := f.open(ctx, t, "")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
			if got := resp.Header.Get(name); resp.StatusCode != 200 || got != want {
				t.Errorf("%s, %s: %q, want %q", resp.Status, name, got, want)
			}
		}
		if !resp.Close { // what comes after it would have its time limit
			t.Error("the connection may be used again")
		}
		lines := bufio.NewReader(resp.Body)
		read := func(n int) string {
			var text strings.Builder
			for range n {
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				text.WriteString(line)
			}
			return text.String()
		}
		if got, want := read(2), fmt.Sprintf("id: %d\n\n", last); got != want {
			t.Errorf("it begins with %q, want %q", got, want)
		}
		synctest.Wait()
		f.record(t, request("1", "served"))
		f.tell(request("2", "served"))
		got := read(4)
		if want := fmt.Sprintf("event: request\nid: %d\ndata: {\"seq\":%[1]d,\"id\":\"1\",", last+1); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "}\n\n") {
			t.Errorf("an event is %q, want %q…", got, want)
		}
		if got, want := read(3), "event: request\ndata: {\"seq\":0,\"id\":\"2\","; !strings.HasPrefix(got, want) {
			t.Errorf("an event that isn't stored is %q, want %q…", got, want)
		}
		before := time.Now()
		if got := read(2); got != ":\n\n" || time.Since(before) != api.KeepAlive {
			t.Errorf("after %v came %q, want a comment after %v", time.Since(before), got, api.KeepAlive)
		}
	})
}

// open asks for the stream with the admin's key.
func (f *fixture) open(ctx context.Context, t *testing.T, lastEventID string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", f.url+"/api/v1/requests/follow", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.admin.Reveal())
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	return f.http.Do(req)
}

func TestStreamsRefuse(t *testing.T) {
	f := newFixture(t)
	for _, last := range []string{"x", "0", "-1", "1.5"} {
		resp, err := f.open(t.Context(), t, last)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 422 || !strings.Contains(string(body), "is not the id of an event") {
			t.Errorf("Last-Event-ID %s: %s %s", last, resp.Status, body)
		}
	}
	if _, body := f.send(t, "GET", "/api/v1/requests/follow", "Bearer "+f.caller.Reveal(), ""); body["code"] != "forbidden" {
		t.Errorf("with a caller's key: %v", body)
	}
	req, err := http.NewRequestWithContext(t.Context(), "HEAD", f.url+"/api/v1/requests/follow", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.admin.Reveal())
	resp, err := f.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || f.following() != 0 {
		t.Errorf("HEAD: %s, %d follow", resp.Status, f.following())
	}
}

// A key that is of no use any more ends its streams, at once or nearly so.
func TestAStreamEndsWithItsKey(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *fixture, *api.Client){
		"deleted": func(t *testing.T, _ *fixture, c *api.Client) {
			if err := c.DeleteKey(t.Context(), "second"); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(t *testing.T, _ *fixture, c *api.Client) {
			soon := time.Now().Add(time.Second)
			if _, err := c.UpdateKey(t.Context(), "second", api.KeyChange{Expires: &soon}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		},
		"store is gone": func(_ *testing.T, f *fixture, _ *api.Client) { f.store.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				client := f.client(t, f.admin)
				key, err := client.CreateKey(t.Context(), api.NewKey{Name: "second", Admin: true})
				if err != nil {
					t.Fatal(err)
				}
				w, other := f.watch(t, key.Secret, api.RequestFilter{}), f.watch(t, f.admin, api.RequestFilter{})
				synctest.Wait()
				if n := f.following(); n != 2 {
					t.Fatalf("%d follow", n)
				}
				end(t, f, client)
				time.Sleep(api.Recheck)
				synctest.Wait()
				if name == "store is gone" { // nobody can be let through
					if n := f.following(); n != 0 {
						t.Errorf("%d follow", n)
					}
					w.stop()
					other.stop()
					return
				}
				if n := f.following(); n != 1 {
					t.Errorf("%d follow, want the other one", n)
				}
				var refused *api.Error
				if err := <-w.ended; !errors.As(err, &refused) || refused.Status != 401 {
					t.Errorf("ended with %v", err)
				}
				if f.record(t, request("1", "served")); len(other.ids()) != 1 {
					t.Error("the other key's stream ended too")
				}
				other.stop()
			})
		})
	}
}

// A reader that stopped reading doesn't keep its goroutines for ever.
func TestAStuckReaderIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		conn, err := f.listen.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go fmt.Fprintf(conn, "GET /api/v1/requests/follow HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer %s\r\n\r\n", f.admin.Reveal())
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resp.Body.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.record(t, request("1", "served"))
		time.Sleep(api.WriteTime - time.Millisecond)
		synctest.Wait()
		if n := f.following(); n != 1 {
			t.Fatalf("%d follow, want 1 that is waited for", n)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n := f.following(); n != 0 {
			t.Errorf("%d follow, want none", n)
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		var watchers []*watcher
		for range api.MaxStreams {
			watchers = append(watchers, f.watch(t, f.admin, api.RequestFilter{}))
		}
		synctest.Wait()
		if n := f.following(); n != api.MaxStreams {
			t.Fatalf("%d follow", n)
		}
		resp, body := f.send(t, "GET", "/api/v1/requests/follow", "Bearer "+f.admin.Reveal(), "")
		if resp.StatusCode != 503 || body["code"] != "too_many_streams" || resp.Header.Get("Retry-After") != "10" {
			t.Errorf("one more: %s %v, Retry-After %q", resp.Status, body, resp.Header.Get("Retry-After"))
		}
		watchers[0].stop()
		synctest.Wait()
		another := f.watch(t, f.admin, api.RequestFilter{})
		synctest.Wait()
		if n := f.following(); n != api.MaxStreams {
			t.Errorf("%d follow, want one in the first's place", n)
		}
		another.stop()
		for _, w := range watchers[1:] {
			w.stop()
		}
	})
}

// Over HTTPS the admin's listener speaks HTTP/2.
func TestFollowOverHTTP2(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewUnstartedServer(f.handler)
	server.EnableHTTP2 = true
	server.Config.ReadTimeout = 10 * time.Second
	server.StartTLS()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client, err := api.NewClient(server.URL, f.admin, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	got, ended := make(chan api.Request, 100), make(chan error, 1)
	go func() {
		ended <- client.FollowRequests(ctx, api.RequestFilter{}, func(r api.Request) error {
			got <- r
			return nil
		}, nil)
	}()
	for n := 0; ; n++ { // until it has connected
		f.record(t, request(fmt.Sprint(n), "served"))
		select {
		case <-got:
			cancel()
			<-ended
			return
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// fake is a server of the test's own in a bubble, and a client for it.
func fake(t *testing.T, h http.HandlerFunc) *api.Client {
	t.Helper()
	l := newPipeListener()
	server, served := &http.Server{Handler: h}, make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l)
	}()
	tr := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		server.Close()
		<-served
	})
	c, err := api.NewClient("http://gateway.test", "vcsgw_key", &http.Client{Transport: tr})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func stream(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, text)
	w.(http.Flusher).Flush()
}

func none(api.Request) error { return nil }

// What is asked for first is told at once when it fails; what was there before is
// waited for.
func TestAFollowerTriesAgainWhatWasThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		answers := []func(http.ResponseWriter){
			func(w http.ResponseWriter) { stream(w, "id: 7\n\n") },
			func(w http.ResponseWriter) { http.Error(w, "a proxy's", http.StatusBadGateway) },
			func(w http.ResponseWriter) {
				transport.Problem{Status: 503, Code: "too_many_streams", Detail: "Full."}.Write(w, &http.Request{})
			},
			func(w http.ResponseWriter) {
				transport.Problem{Status: 401, Code: "unauthenticated", Detail: "Gone."}.Write(w, &http.Request{})
			},
		}
		var resumed []string
		client := fake(t, func(w http.ResponseWriter, r *http.Request) {
			resumed = append(resumed, r.Header.Get("Last-Event-ID"))
			answers[calls](w)
			calls++
		})
		lost := 0
		err := client.FollowRequests(t.Context(), api.RequestFilter{}, none, func(error) { lost++ })
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Status != 401 || calls != 4 || lost != 1 || !slices.Equal(resumed, []string{"", "7", "7", "7"}) {
			t.Errorf("after %d calls, %d lost, resumed at %q: %v", calls, lost, resumed, err)
		}

		calls = 1 // a server that was never there
		if err := client.FollowRequests(t.Context(), api.RequestFilter{}, none, nil); err == nil || calls != 2 {
			t.Errorf("after %d calls: %v", calls, err)
		}
	})
}

func TestAFollowerNoticesADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake(t, func(w http.ResponseWriter, r *http.Request) {
			stream(w, ":\n\n")
			<-r.Context().Done()
		})
		begun := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		err := client.FollowRequests(ctx, api.RequestFilter{}, none, func(err error) {
			if !strings.Contains(err.Error(), "nothing came for 45s") || time.Since(begun) != api.MaxSilence {
				t.Errorf("after %v: %v", time.Since(begun), err)
			}
			cancel()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestAFollowerStopsWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake(t, func(w http.ResponseWriter, r *http.Request) {
			stream(w, "event: other\ndata: {\"id\":\"x\"}\n\nevent: request\nid: 3\ndata: {\"id\":\"1\"}\n\n")
			<-r.Context().Done()
		})
		enough := errors.New("enough")
		if err := client.FollowRequests(t.Context(), api.RequestFilter{}, func(r api.Request) error {
			if r.ID != "1" {
				t.Errorf("got %+v", r)
			}
			return enough
		}, nil); err != enough {
			t.Errorf("ended with %v", err)
		}
	})
}

// What is no stream of the gateway's, or none at all, is an error and not waited
// for, and a line without end is not kept.
func TestAFollowerAgainstSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, answer := range map[string]http.HandlerFunc{
			"html": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
			"json": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, "{}")
			},
			"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		} {
			err := fake(t, answer).FollowRequests(t.Context(), api.RequestFilter{}, none, nil)
			if err == nil || !strings.Contains(err.Error(), "is not the gateway's admin API") {
				t.Errorf("%s: %v", name, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		endless := fake(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat("x", 1<<16))); err != nil {
					return
				}
			}
		})
		endless.FollowRequests(ctx, api.RequestFilter{}, none, func(err error) {
			if !errors.Is(err, bufio.ErrTooLong) {
				t.Errorf("lost is told %v", err)
			}
			cancel()
		})
		closed := newPipeListener()
		closed.Close()
		client, err := api.NewClient("http://gateway.test", "vcsgw_key", &http.Client{Transport: &http.Transport{DialContext: closed.dial}})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.FollowRequests(t.Context(), api.RequestFilter{}, none, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("nothing listens: %v", err)
		}
	})
}
