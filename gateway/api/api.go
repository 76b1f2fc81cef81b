package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

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

// Codes of refusals. They are part of the API: programs branch on them.
const (
	codeUnauthenticated  = "unauthenticated"    // 401: no key, or not one of ours
	codeForbidden        = "forbidden"          // 403: the key is not an admin's
	codeNotFound         = "not_found"          // 404: no such path
	codeUnknownPool      = "unknown_pool"       // 404 in the path, 422 in the body
	codeMethodNotAllowed = "method_not_allowed" // 405
	codeExists           = "exists"             // 409: the name is taken
	codeTooLarge         = "too_large"          // 413: the body
	codeBadBody          = "bad_body"           // 400: not a JSON object of the right types
	codeUnknownField     = "unknown_field"      // 400
	codeInvalid          = "invalid"            // 422: a value that isn't allowed
	codeInternal         = "internal"           // 500: a fault of the gateway's own
)

// server is the handler behind [New].
type server struct {
	control *control.Control
	log     *slog.Logger
}

// answer is what a handler wants sent when it succeeded.
type answer struct {
	status   int
	location string // of what was made; "" leaves it out
	body     any
}

// handler serves one method of one path for the owner of an admin key. Its
// error is turned into a problem by [problemOf].
type handler func(w http.ResponseWriter, r *http.Request, by store.Key) (answer, error)

// New returns the handler for all of /api/v1. Time limits on reading a request
// are its [http.Server]'s.
func New(cfg Config) http.Handler {
	s := &server{control: cfg.Control, log: cfg.Logger}
	if s.log == nil {
		s.log = slog.Default()
	}
	routes := map[string]map[string]handler{
		"/api/v1/pools":        {http.MethodGet: s.listPools, http.MethodPost: s.createPool},
		"/api/v1/pools/{name}": {http.MethodGet: s.showPool},
		"/api/v1/keys":         {http.MethodGet: s.listKeys, http.MethodPost: s.createKey},
		"/api/v1/version":      {http.MethodGet: s.showVersion},
	}
	mux := http.NewServeMux()
	for path, methods := range routes {
		for method, h := range methods {
			mux.Handle(method+" "+path, s.admin(h))
		}
		// Less specific than the above, so it gets the methods that are left.
		mux.Handle(path, s.admin(refuseMethod(slices.Sorted(maps.Keys(methods)))))
	}
	mux.Handle("/", s.admin(refusePath))
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

// admin lets requests with an admin key through to h and writes what comes of
// them.
func (s *server) admin(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by, err := s.authenticate(r)
		var a answer
		if err == nil {
			a, err = h(w, r, by)
		}
		if err != nil {
			s.refuse(w, r, by, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if a.location != "" {
			w.Header().Set("Location", a.location)
		}
		w.WriteHeader(a.status)
		if err := json.NewEncoder(w).Encode(a.body); err != nil {
			s.log.Debug("API answer not sent", "error", err) // the client has gone
		}
	})
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

// actor is who sent the request, for the audit log.
func actor(r *http.Request, by store.Key) store.Actor { return control.Actor(by, r.RemoteAddr) }

func (s *server) showVersion(http.ResponseWriter, *http.Request, store.Key) (answer, error) {
	return answer{status: http.StatusOK, body: map[string]string{"version": s.control.Version}}, nil
}

func refuseMethod(allowed []string) handler {
	allow := strings.Join(allowed, ", ")
	return func(w http.ResponseWriter, _ *http.Request, _ store.Key) (answer, error) {
		w.Header().Set("Allow", allow)
		return answer{}, refuse(http.StatusMethodNotAllowed, codeMethodNotAllowed, "This path takes "+allow+".")
	}
}

func refusePath(http.ResponseWriter, *http.Request, store.Key) (answer, error) {
	return answer{}, refuse(http.StatusNotFound, codeNotFound, "The API has no such path: see /api/v1/pools and /api/v1/keys.")
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
		slog.String("method", short(r.Method)), slog.String("path", short(r.URL.Path)),
		slog.String("remote_address", r.RemoteAddr), slog.String("key", by.Name), slog.String("error", err.Error()))
	p.Write(w, r)
}

// short bounds what a client can put into a log line.
func short(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
