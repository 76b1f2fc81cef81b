package agent

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"vcsagent/allow"
	"vcsagent/metrics"
	"vcsagent/transport"
)

const (
	// maxLookups bounds the projects of one request that the VCS is asked for; no
	// API's call names more by their numbers.
	maxLookups = 4
	// lookupTimeout bounds one question to the VCS, its answer's body included.
	lookupTimeout = 10 * time.Second
	// maxLookupBytes bounds that answer. GitLab's has some 10 KiB.
	maxLookupBytes = 1 << 20
	// lookupCacheSize and lookupCacheTime bound what is remembered. A project that
	// was moved is taken for its old path for no longer than that.
	lookupCacheSize = 1024
	lookupCacheTime = time.Minute
)

// lookups knows the paths of projects that requests give by their numbers. A
// request's own credentials ask the VCS, so that nobody learns here of a project
// that the VCS wouldn't show them, and what is remembered is remembered for those
// credentials alone. Failures are not: a denial must not outlive what caused it,
// and a question costs the VCS no more than the request would have.
type lookups struct {
	cache   *lru.Cache[lookupKey, foundProject]
	mu      sync.Mutex
	flights map[lookupKey]*flight // questions on their way
}

// lookupKey is a digest of the project's number and the credentials that ask.
type lookupKey [sha256.Size]byte

type foundProject struct {
	path  string
	until time.Time
}

// flight is one question to the VCS, which one request asks and others with the
// same question wait for. path and err are set before done is closed.
type flight struct {
	done chan struct{}
	path string
	err  error
}

func newLookups() *lookups {
	cache, err := lru.New[lookupKey, foundProject](lookupCacheSize)
	if err != nil {
		panic("agent: " + err.Error()) // the size is more than 0
	}
	return &lookups{cache: cache, flights: map[lookupKey]*flight{}}
}

// errAbandoned ends a flight whose own request went away or panicked: it says
// nothing of the project.
var errAbandoned = errors.New("the request that asked the VCS for the project ended early")

// find returns what ask returns, or what it lately returned for key. Of requests
// that come together one asks, in its own goroutine and context, and the others
// wait; if that one goes away, another asks. (x/sync's singleflight would hold the
// others past their own end, or ask in a goroutine whose panic ends the program.)
func (l *lookups) find(ctx context.Context, key lookupKey, ask func() (string, error)) (path string, hit bool, err error) {
	for {
		l.mu.Lock()
		if p, ok := l.cache.Get(key); ok && time.Now().Before(p.until) {
			l.mu.Unlock()
			return p.path, true, nil
		}
		f, flying := l.flights[key]
		if !flying {
			f = &flight{done: make(chan struct{}), err: errAbandoned}
			l.flights[key] = f
		}
		l.mu.Unlock()
		if !flying {
			path, err = l.fly(ctx, key, f, ask)
			return path, false, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", false, ctx.Err()
		}
		if f.err != errAbandoned {
			return f.path, f.err == nil, f.err
		}
	}
}

// fly asks. Whatever happens, the flight ends, and those who wait for it go on.
func (l *lookups) fly(ctx context.Context, key lookupKey, f *flight, ask func() (string, error)) (string, error) {
	defer func() {
		l.mu.Lock()
		delete(l.flights, key)
		l.mu.Unlock()
		close(f.done)
	}()
	path, err := ask()
	if err != nil && ctx.Err() != nil {
		return "", err // the flight stays abandoned
	}
	f.path, f.err = path, err
	if err == nil {
		l.cache.Add(key, foundProject{path, time.Now().Add(lookupCacheTime)})
	}
	return path, err
}

// lookupError is why a project's path isn't known.
type lookupError struct {
	told  string // for the caller; completes "asked for project 42, the VCS …" and never is what the VCS said
	cause error  // for the log; may be nil
}

// Error implements error.
func (e *lookupError) Error() string {
	if e.cause == nil {
		return "ask for a project: the VCS " + e.told
	}
	return "ask for a project: " + e.cause.Error()
}

// known decides anew on a request that was denied only because it gives projects by
// their numbers, now that the VCS has told their paths. If one can't be known the
// denial stands, and says why.
func (h *handler) known(c *call, r *http.Request) {
	ids := c.decision.Lookup
	if len(ids) > maxLookups {
		c.decision.Detail += fmt.Sprintf("; it gives %d projects by their numbers, and the VCS is asked for at most %d", len(ids), maxLookups)
		return
	}
	projects := make(map[string]string, len(ids))
	for _, id := range ids {
		path, hit, err := h.project(c, r, id)
		if err != nil {
			h.metrics.ProjectLookups.WithLabelValues(metrics.LookupFailed).Inc()
			h.unknown(c, r, id, err)
			return
		}
		result := metrics.LookupFound
		if hit {
			result = metrics.LookupHit
		}
		h.metrics.ProjectLookups.WithLabelValues(result).Inc()
		projects[id] = path
	}
	c.decision = c.rules.policy.CheckKnowing(r.Method, r.RequestURI, projects)
}

// unknown says in the denial why the project isn't known.
func (h *handler) unknown(c *call, r *http.Request, id string, err error) {
	c.failure = err
	if c.gone(r.Context()) {
		panic(http.ErrAbortHandler)
	}
	if le, ok := errors.AsType[*lookupError](err); ok {
		c.decision.Detail += "; asked for project " + id + ", the VCS " + le.told
	}
}

// project returns the path of the project with this number, as the request's
// credentials see it.
func (h *handler) project(c *call, r *http.Request, id string) (path string, hit bool, err error) {
	header := h.lookupHeader(c, r.Header)
	return h.lookups.find(r.Context(), keyOf(id, header), func() (string, error) {
		return h.askForProject(c, r, id, header)
	})
}

// lookupHeader holds the credentials that the request itself would be sent with,
// and nothing else: neither a condition nor a range may make the answer less than
// the project.
func (h *handler) lookupHeader(c *call, in http.Header) http.Header {
	out := c.rules.policy.Header(in)
	for name := range out {
		if noCredential(name) {
			delete(out, name)
		}
	}
	if c.credential != nil {
		c.credential.put(out, "")
	}
	return out
}

// askForProject asks the VCS for the project's path. Like every call it follows no
// redirect: an answer that redirects is none.
func (h *handler) askForProject(c *call, r *http.Request, id string, credentials http.Header) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), lookupTimeout)
	defer cancel()
	target := c.rules.policy.LookupPath(id)
	if target == "" {
		return "", &lookupError{told: "has no call that tells it"}
	}
	req := (&http.Request{Method: http.MethodGet, URL: c.rules.hosts.target(allow.Decision{Path: target}), Header: credentials.Clone()}).WithContext(ctx)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", r.UserAgent()) // "" stops net/http's own
	req.Header.Set(transport.RequestIDHeader, c.id)
	resp, err := h.proxy.Transport.RoundTrip(req)
	if err != nil {
		told := "could not be reached"
		if isTimeout(err) {
			told = "did not answer in time"
		}
		return "", &lookupError{told, hinted(err)}
	}
	defer resp.Body.Close()
	h.log.LogAttrs(ctx, slog.LevelDebug, "asked the VCS for a project's path",
		slog.String("id", c.id), slog.String("project_number", id), slog.Int("status_code", resp.StatusCode))
	if resp.StatusCode != http.StatusOK {
		return "", &lookupError{told: fmt.Sprintf("answered with status %d", resp.StatusCode)}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxLookupBytes+1))
	if err != nil {
		return "", &lookupError{"broke its answer off", err}
	}
	if len(body) > maxLookupBytes {
		return "", &lookupError{told: fmt.Sprintf("answered with more than %d bytes", maxLookupBytes)}
	}
	path, err := c.rules.policy.LookupName(body)
	if err != nil {
		return "", &lookupError{"answered with something that names no project", err}
	}
	return path, nil
}

// keyOf digests a number and the credentials that ask, each with its length, so that
// no two questions run into one.
func keyOf(id string, credentials http.Header) lookupKey {
	sum := sha256.New()
	write := func(s string) {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		io.WriteString(sum, s)
	}
	write(id)
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		write(name)
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(credentials[name]))))
		for _, value := range credentials[name] {
			write(value)
		}
	}
	return lookupKey(sum.Sum(nil))
}
