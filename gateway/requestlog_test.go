package gateway_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	_ "modernc.org/sqlite"

	"vcsagent/gateway"
	"vcsagent/gateway/store"
	"vcsagent/metrics"
	"vcsagent/test/servers"
	"vcsagent/transport"
)

// stores makes a gateway store the requests.
func stores(c *gateway.Config) { c.RequestLogMaxRows = 1_000_000 }

// on makes a gateway use a PostgreSQL database.
func on(url string) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Database = transport.Secret(url) }
}

// stored waits until n requests are stored and returns them, newest first.
func (f *fixture) stored(t *testing.T, n int) []store.Request {
	t.Helper()
	var all []store.Request
	await(t, fmt.Sprintf("%d requests to be stored", n), func() bool {
		var err error
		all, err = f.Store().Requests(t.Context(), store.RequestFilter{})
		if err != nil {
			t.Fatal(err)
		}
		return len(all) >= n
	})
	if len(all) != n {
		t.Errorf("%d requests are stored, want %d", len(all), n)
	}
	return all
}

// What is stored is what stdout says, less the seconds' fractions beyond micro.
func TestRequestsAreStored(t *testing.T) {
	f := start(t, stores)
	follower := f.Follow(t.Context())
	a := f.join(t, options{instance: "i-1"}, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name, value := range map[string]string{"Name": "rule-1", "Purpose": "to test", "Project": "group%2Fa%0Ab", "Stream": "3"} {
			w.Header().Set("Vcs-Agent-"+name, value)
		}
		if r.URL.Path == "/denied" {
			w.Header().Set("Vcs-Agent-Error", "denied")
			w.Header().Set("Vcs-Agent-Reason", "no_rule")
			w.WriteHeader(403)
		}
		io.WriteString(w, "answer")
	})
	defer a.kill()
	began := time.Now()
	r := f.request(t, "POST", "/x?private_token=hush-hush&page=2", strings.NewReader("body"))
	r.Header.Set("X-Request-Id", "served-1")
	send(t, r)
	r = f.request(t, "GET", "/denied", nil)
	r.Header.Set("X-Request-Id", "denied-1")
	send(t, r)
	r = f.request(t, "GET", "/", nil)
	r.Header.Set(gateway.KeyHeader, "wrong-key-hush-hush")
	r.Header.Set("X-Request-Id", "refused-1")
	send(t, r)

	all := f.stored(t, 3)
	slices.Reverse(all)
	for i, id := range []string{"served-1", "denied-1", "refused-1"} {
		got, line := all[i], f.log.await(t, "request", "id", id)
		agents := func(field string) string { s, _ := line[field].(string); return s }
		key := ""
		if got.KeyName != "" {
			keys, err := f.Store().Keys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			key = keys[slices.IndexFunc(keys, func(k store.Key) bool { return k.Name == "backend" })].ID
		}
		want := store.Request{
			Seq: got.Seq, ID: id, At: got.At, PoolName: line["pool"].(string), KeyID: key, KeyName: line["key"].(string),
			SessionID: agents("session"), Instance: agents("instance"), Method: line["method"].(string), Path: line["path"].(string),
			Name: line["name"].(string), Purpose: line["purpose"].(string), Project: line["project"].(string), Outcome: line["outcome"].(string),
			Code: agents("code"), Reason: agents("reason"), Status: int(line["status_code"].(float64)),
			Queued: seconds(line["queued"]), FirstByte: seconds(line["first_byte"]), Total: seconds(line["elapsed"]),
			BytesIn: int64(line["bytes_in"].(float64)), BytesOut: int64(line["bytes_out"].(float64)),
		}
		if want.PoolName != "" {
			want.PoolID = f.pool.ID
		}
		if want.SessionID != "" {
			want.Stream = 3
		}
		if got != want {
			t.Errorf("stored:\n%+v, the log says\n%+v", got, want)
		}
		if got.At.Before(began) || got.At.Add(got.Total).After(time.Now()) {
			t.Errorf("it came at %s", got.At)
		}
		if followed := receive(t, follower); followed.ID != id || followed.Seq != got.Seq {
			t.Errorf("followed %+v", followed)
		}
	}
	if served := all[0]; served.Path != "/x?private_token=[masked]&page=2" || served.BytesIn != 4 || served.Project != "group/a\nb" || served.KeyID == "" {
		t.Errorf("stored: %+v", served)
	}
	if denied := all[1]; denied.Outcome != "denied" || denied.Reason != "no_rule" || denied.Status != 403 {
		t.Errorf("stored: %+v", denied)
	}

	// When the key was used is known at the end at the latest.
	f.UsedTokenKey(tokenKeyOf(t, f))
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case _, open := <-follower:
		if open {
			t.Error("a follower gets more at the end")
		}
	default:
		t.Error("a follower is left open")
	}
	for _, path := range files(t, f.dir) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"hush-hush", callerKey, poolKey} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
	}
	s := f.reopen(t)
	keys, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Name == "backend" && k.LastUsedAt.Before(began.Truncate(time.Microsecond)) {
			t.Errorf("the key was last used at %s", k.LastUsedAt)
		}
	}
	tokens, err := s.TokenKeys(t.Context(), f.pool.ID)
	if err != nil || tokens[0].LastUsedAt.Before(began.Truncate(time.Microsecond)) {
		t.Errorf("the pool's key was last used at %s, %v", tokens[0].LastUsedAt, err)
	}
}

// seconds is a duration in the log, as the store keeps it.
func seconds(v any) time.Duration {
	return time.Duration(v.(float64) * float64(time.Second)).Round(time.Nanosecond).Truncate(time.Microsecond)
}

func tokenKeyOf(t *testing.T, f *fixture) string {
	t.Helper()
	keys, err := f.Store().TokenKeys(t.Context(), f.pool.ID)
	if err != nil {
		t.Fatal(err)
	}
	return keys[0].ID
}

// files lists a folder's files.
func files(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return all
}

// reopen opens the store of a gateway that has stopped.
func (f *fixture) reopen(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(f.dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// The last requests before a shutdown are stored.
func TestRequestsAreStoredAtTheEnd(t *testing.T) {
	f := start(t, stores)
	f.join(t, options{}, answer("served"))
	for range 10 {
		f.get(t, "/x")
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	if all, err := f.reopen(t).Requests(t.Context(), store.RequestFilter{}); err != nil || len(all) != 10 {
		t.Errorf("%d are stored, %v", len(all), err)
	}
}

// Who has no key can't push others' requests out of the log, by whatever they
// are refused for.
func TestRefusedRequestsDontFillTheLog(t *testing.T) {
	f := start(t, stores)
	f.join(t, options{}, answer(""))
	began := time.Now()
	const rounds = gateway.RefusedBurst
	for range rounds {
		for path, key := range map[string]string{f.url("/x"): "", f.url("/y"): "of nobody", "http://" + f.Addr("http") + "/nothing": callerKey} {
			r := f.request(t, "GET", "/", nil)
			r.URL, _ = url.Parse(path)
			r.Header.Set(gateway.KeyHeader, key)
			if resp, _ := send(t, r); resp.StatusCode != 401 && resp.StatusCode != 404 {
				t.Fatalf("%s: %s", path, resp.Status)
			}
		}
	}
	most := gateway.RefusedBurst + int(time.Since(began).Seconds()*gateway.RefusedPerSecond) + 1
	f.get(t, "/served")
	var all []store.Request
	await(t, "the last request to be stored", func() bool {
		all, _ = f.Store().Requests(t.Context(), store.RequestFilter{Limit: store.MaxPage})
		return len(all) > 0 && all[0].Outcome == store.OutcomeServed
	})
	if n := len(all) - 1; n < gateway.RefusedBurst || n > most {
		t.Errorf("%d of %d refused requests are stored, want %d to %d", n, 3*rounds, gateway.RefusedBurst, most)
	}
	counts, err := f.Store().Counts(t.Context(), began.Add(-time.Minute))
	if err != nil || counts.Denied > int64(most) {
		t.Errorf("the traffic's counts are %+v, %v", counts, err)
	}
	if n := len(f.log.lines("request")); n != 3*rounds+1 {
		t.Errorf("%d of them are on stdout", n)
	}
}

// A gateway may keep its requests to stdout.
func TestNoRequestsAreStored(t *testing.T) {
	f := start(t)
	f.join(t, options{}, answer("served"))
	follower := f.Follow(t.Context())
	f.get(t, "/x")
	if q := receive(t, follower); q.Path != "/x" || q.Seq != 0 {
		t.Errorf("followed %+v", q)
	}
	f.stored(t, 0)
	f.log.await(t, "request", "path", "/x")
}

// settled waits until a gateway that has just started has looked for what was
// changed meanwhile: up to then it can't know that what it knows still holds.
func settled(t *testing.T) {
	t.Helper()
	began := time.Now()
	await(t, "the first second", func() bool { return time.Since(began) > 2*gateway.KeyringTTL })
}

// callersGoOn sends requests one after the other from four callers until stop is
// called, which returns how many were served and the longest time one took.
func callersGoOn(t *testing.T, f *fixture) (stop func() (n int, longest time.Duration)) {
	t.Helper()
	var stopped atomic.Bool
	var mu sync.Mutex
	var wg sync.WaitGroup
	n, longest := 0, time.Duration(0)
	for range 4 {
		wg.Go(func() {
			for !stopped.Load() {
				began := time.Now()
				resp, body := f.get(t, "/x")
				took := time.Since(began)
				if resp.StatusCode != 200 || body != "served" {
					t.Errorf("%d %s", resp.StatusCode, body)
					return
				}
				mu.Lock()
				n, longest = n+1, max(longest, took)
				mu.Unlock()
			}
		})
	}
	return func() (int, time.Duration) {
		stopped.Store(true)
		wg.Wait()
		return n, longest
	}
}

// noLonger is what no request takes while the database does nothing: far below
// the time for which it does nothing.
const noLonger = 3 * time.Second

// lockDatabase keeps others from writing to the SQLite file until unlock is called
// or the test ends.
func (f *fixture) lockDatabase(t *testing.T) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(f.dir, store.FileName)+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() { db.Close() })
	t.Cleanup(unlock)
	return unlock
}

// A database that another process has locked holds up no request, and has them
// all afterwards.
func TestRequestsGoOnWhileSQLiteIsLocked(t *testing.T) {
	t.Parallel()
	f := start(t, stores)
	f.join(t, options{parallelism: 4}, answer("served"))
	unlock := f.lockDatabase(t)
	stop := callersGoOn(t, f)
	f.log.await(t, "requests wait to be stored in the log of requests: the database doesn't take them", "level", "WARN")
	n, longest := stop()
	t.Logf("%d requests, of which the longest took %s", n, longest)
	if n == 0 || longest > noLonger {
		t.Errorf("%d requests, of which one took %s", n, longest)
	}
	unlock()
	f.allStored(t, n, 0)
}

// A database that is locked until after the end doesn't hold up the shutdown for
// long, and the log says what is lost.
func TestShutdownWhileSQLiteIsLocked(t *testing.T) {
	t.Parallel()
	f := start(t, stores)
	f.join(t, options{}, answer("served"))
	f.lockDatabase(t)
	for range 3 {
		f.get(t, "/x")
	}
	began := time.Now()
	if err := f.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*gateway.FlushTimeout {
		t.Errorf("it took %s", took)
	}
	if line := f.log.await(t, "requests could not be stored in the log of requests", "requests", 3.0); line["error"] == "" {
		t.Errorf("the log says %v", line)
	}
}

// On PostgreSQL a gateway keeps what it had over a restart, its requests too.
func TestPostgres(t *testing.T) {
	location := servers.Postgres(t).Database(t)
	f := start(t, stores, on(location))
	if line := f.log.await(t, "serving", "database", "postgres"); line["data_dir"] != f.dir {
		t.Errorf("the log says %v", line)
	}
	f.join(t, options{}, answer("served"))
	f.get(t, "/x")
	before := f.stored(t, 1)
	if _, err := os.Stat(filepath.Join(f.dir, store.FileName)); err == nil {
		t.Error("there is a SQLite file too")
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}

	again := testConfig(t)
	again.DataDir = f.dir
	stores(&again)
	on(location)(&again)
	log := newLogLines()
	again.Logger = slog.New(slog.NewJSONHandler(log, nil))
	g, err := gateway.New(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	f = &fixture{Gateway: g, log: log, dir: f.dir, pool: f.pool}
	f.run(t)
	if after := f.stored(t, 1); after[0] != before[0] {
		t.Errorf("after the restart: %+v, before: %+v", after[0], before[0])
	}
	f.join(t, options{}, answer("served"))
	if resp, body := f.get(t, "/y"); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	f.stored(t, 2)
}

// allStored waits until each of n requests is stored. A batch whose commit the
// database told nobody of is there twice.
func (f *fixture) allStored(t *testing.T, n, batchesTwice int) {
	t.Helper()
	f.log.await(t, "requests are stored in the log of requests again", "lost", 0.0)
	await(t, "all requests to be stored", func() bool {
		c, err := f.Store().Counts(t.Context(), time.Now().Add(-time.Hour))
		if err != nil {
			return false // a connection from before
		}
		if most := n + batchesTwice*gateway.BatchSize; c.Served > int64(most) {
			t.Fatalf("%d requests are stored, at most %d may be", c.Served, most)
		}
		return c.Served >= int64(n)
	})
}

// A server that crashes holds up no request and loses none.
func TestRequestsGoOnWhilePostgresCrashes(t *testing.T) {
	t.Parallel()
	server := servers.Postgres(t)
	f := start(t, stores, on(server.Database(t)))
	f.join(t, options{parallelism: 4}, answer("served"))
	stop := callersGoOn(t, f)
	settled(t)
	const crashes = 3
	for range crashes {
		before := testutil.ToFloat64(f.Metrics().LogStored)
		await(t, "requests to be stored", func() bool { return testutil.ToFloat64(f.Metrics().LogStored) > before })
		server.Crash(t)
	}
	n, longest := stop()
	t.Logf("%d requests, of which the longest took %s", n, longest)
	if n == 0 || longest > noLonger {
		t.Errorf("%d requests, of which one took %s", n, longest)
	}
	f.allStored(t, n, crashes)
}

// A server that can't be reached, or that doesn't answer any more, holds up no
// request but the one that asks for the key, and that not for long.
func TestRequestsGoOnWithoutPostgres(t *testing.T) {
	t.Parallel()
	server := servers.Postgres(t)
	location, err := url.Parse(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, location.Host)
	location.Host = r.Addr().String()
	location.RawQuery = "connect_timeout=1"
	f := start(t, stores, on(location.String()))
	f.join(t, options{parallelism: 4}, answer("served"))
	settled(t)
	total := 0
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprint("hangs: ", hangs), func(t *testing.T) {
			f.get(t, "/x") // the key is known
			told := len(f.log.lines("requests wait to be stored in the log of requests: the database doesn't take them"))
			end := r.refuse
			if hangs {
				end = r.hang
			}
			resume := end()
			stop, began := callersGoOn(t, f), time.Now()
			await(t, "the trouble to be told, and keys to be asked for", func() bool {
				return time.Since(began) > 3*gateway.KeyringTTL && len(f.log.lines("requests wait to be stored in the log of requests: the database doesn't take them")) > told
			})
			n, longest := stop()
			resume()
			t.Logf("%d requests, of which the longest took %s", n, longest)
			if limit := gateway.LookupTime + noLonger; n == 0 || longest > limit {
				t.Errorf("%d requests, of which one took %s", n, longest)
			}
			total += 1 + n
			await(t, "all requests to be stored", func() bool { return testutil.ToFloat64(f.Metrics().LogStored) == float64(total) })
		})
	}
	if n := testutil.ToFloat64(f.Metrics().LogDropped.WithLabelValues(metrics.DroppedFailed)); n != 0 {
		t.Errorf("%v requests were given up", n)
	}
}

// relay stands between a client and a server and can stop what goes through it.
type relay struct {
	net.Listener
	target  string
	refused atomic.Bool
	pass    sync.RWMutex // held by who stops it
	mu      sync.Mutex
	open    []net.Conn
}

func newRelay(t *testing.T, target string) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, target: target}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil || r.refused.Load() {
				client.Close()
				continue
			}
			r.mu.Lock()
			r.open = append(r.open, client, server)
			r.mu.Unlock()
			for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
				wg.Go(func() {
					io.Copy(way[0], reader(func(b []byte) (int, error) {
						n, err := way[1].Read(b)
						r.pass.RLock()
						defer r.pass.RUnlock()
						return n, err
					}))
					way[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.cut()
		wg.Wait()
	})
	return r
}

// reader is a func as an io.Reader.
type reader func([]byte) (int, error)

func (f reader) Read(b []byte) (int, error) { return f(b) }

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		c.Close()
	}
}

// refuse ends all connections, and new ones at once, until resume.
func (r *relay) refuse() (resume func()) {
	r.refused.Store(true)
	r.cut()
	return func() { r.refused.Store(false) }
}

// hang lets nothing through until resume.
func (r *relay) hang() (resume func()) {
	r.pass.Lock()
	return r.pass.Unlock
}

// A wrong setting of the database is told with its name, and without its password.
func TestDatabaseSetting(t *testing.T) {
	server := servers.Postgres(t)
	for _, location := range []string{strings.Replace(server.URL, "gateway:", "nobody:", 1), server.URL + "-none", "postgres://u:hush@127.0.0.1:1/d", "postgres://u:hush hush@:x/d"} {
		c := testConfig(t)
		on(location)(&c)
		_, err := gateway.New(t.Context(), c)
		if got := words(settingsIn(err)); got != "database" {
			t.Errorf("%q are wrong: %v", got, err)
		}
		for _, secret := range []string{"hush", server.Password, url.QueryEscape(server.Password), url.PathEscape(server.Password), "w/rd", "w%2Frd"} {
			if strings.Contains(fmt.Sprint(err), secret) {
				t.Errorf("it shows the password: %v", err)
			}
		}
	}
}
