package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Config is what the API works with.
type Config struct {
	// Control does what is asked for; required.
	Control *control.Control
	// Logger gets a line for every refusal; nil means slog.Default().
	Logger *slog.Logger
}

// server is the handler behind [New].
type server struct {
	control *control.Control
	log     *slog.Logger
	streams chan struct{} // has an element for each follower
	editing sync.Mutex    // held by those that change a part of some limits: they read them first
}

// answer is what a handler wants sent when it succeeded.
type answer struct {
	status   int
	location string // of what was made; "" leaves it out
	body     any    // nil is none
	sent     bool   // the handler wrote it itself
}

func ok(body any) (answer, error) { return answer{status: http.StatusOK, body: body}, nil }

func noContent() (answer, error) { return answer{status: http.StatusNoContent}, nil }

// handler serves one method of one path for the owner of an admin key. Its
// error is turned into a problem by [problemOf].
type handler func(w http.ResponseWriter, r *request) (answer, error)

// request is one that was let through.
type request struct {
	*http.Request
	by    store.Key // who sent it
	query *query
}

// actor is who sent the request, for the audit log.
func (r *request) actor() store.Actor { return control.Actor(r.by, r.RemoteAddr) }

// prefix is the path of all that the API has.
const prefix = "/api/v1"

// New returns the handler for all of /api/v1. Time limits on reading a request
// are its [http.Server]'s; one on writing answers would end followers.
func New(cfg Config) http.Handler {
	s := &server{control: cfg.Control, log: cfg.Logger, streams: make(chan struct{}, maxStreams)}
	if s.log == nil {
		s.log = slog.Default()
	}
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range s.routes() {
		mux.Handle(r.method+" "+prefix+r.path, s.handle(r))
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		// Less specific than the above, so it gets the methods that are left.
		mux.Handle(prefix+path, s.handle(route{serve: refuseMethod(allowed)}))
	}
	mux.Handle("/", s.handle(route{serve: refusePath}))
	return secured(mux)
}

// secured adds the headers that keep an answer from being run, framed or kept
// by a browser.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

// handle lets requests with an admin key through to a route and writes what
// comes of them.
func (s *server) handle(to route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var by store.Key
		var err error
		if !to.open {
			by, err = s.authenticate(r)
		}
		req := &request{Request: r, by: by}
		if err == nil && to.method != "" { // else it is refused anyway
			req.query, err = queryOf(r, to.params)
		}
		var a answer
		if err == nil {
			a, err = to.serve(w, req)
		}
		switch {
		case err != nil:
			s.refuse(w, r, by, err)
		case !a.sent:
			s.send(w, a)
		}
	})
}

func (s *server) send(w http.ResponseWriter, a answer) {
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	if err := json.NewEncoder(w).Encode(a.body); err != nil {
		s.log.Debug("API answer not sent", "error", err) // the client has gone
	}
}

// authenticate finds the admin whose key the request shows. The key it returns
// with an error is the one to log, if any is known.
func (s *server) authenticate(r *http.Request) (store.Key, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	secret = strings.TrimSpace(secret)
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return store.Key{}, refuse(http.StatusUnauthorized, codeUnauthenticated,
			"The request has no key: send an admin key as Authorization: Bearer KEY.")
	}
	key, err := s.control.Admin(r.Context(), transport.Secret(secret))
	switch notAdmin, is := errors.AsType[*control.NotAdminError](err); {
	case errors.Is(err, store.ErrNotFound):
		return store.Key{}, refuse(http.StatusUnauthorized, codeUnauthenticated, "The key is not one of this gateway's.")
	case errors.Is(err, store.ErrExpired):
		return store.Key{}, refuse(http.StatusUnauthorized, codeUnauthenticated, sentence(err))
	case is:
		return notAdmin.Key, refuse(http.StatusForbidden, codeForbidden,
			"The key "+notAdmin.Key.Name+" is for calling pools: the API needs an admin key.")
	case err != nil:
		return store.Key{}, err
	}
	return key, nil
}

func (s *server) showVersion(http.ResponseWriter, *request) (answer, error) {
	return ok(versionAnswer{s.control.Version})
}

type versionAnswer struct {
	Version string `json:"version"`
}

func refuseMethod(allowed []string) handler {
	allow := strings.Join(slices.Sorted(slices.Values(allowed)), ", ")
	return func(w http.ResponseWriter, _ *request) (answer, error) {
		w.Header().Set("Allow", allow)
		return answer{}, refuse(http.StatusMethodNotAllowed, codeMethodNotAllowed, "This path takes "+allow+".")
	}
}

func refusePath(http.ResponseWriter, *request) (answer, error) {
	return answer{}, refuse(http.StatusNotFound, codeNotFound, "The API has no such path: see /api/v1/openapi.json.")
}

// refuse writes and logs the problem that err is.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, by store.Key, err error) {
	p := problemOf(err)
	level := slog.LevelInfo
	switch p.Status {
	case http.StatusInternalServerError:
		level = slog.LevelError
	case http.StatusUnauthorized:
		level = slog.LevelWarn
		w.Header().Set("WWW-Authenticate", `Bearer realm="vcs-gateway API"`)
	case http.StatusForbidden:
		level = slog.LevelWarn
	}
	if errors.Is(err, context.Canceled) {
		level = slog.LevelDebug // the client went away
	}
	s.log.LogAttrs(r.Context(), level, "API request refused", slog.Int("status", p.Status), slog.String("code", p.Code),
		slog.String("method", control.Shown(r.Method)), slog.String("path", control.Shown(r.URL.Path)),
		slog.String("remote_address", r.RemoteAddr), slog.String("key", by.Name), slog.String("error", control.Shown(err.Error())))
	p.Write(w, r)
}
