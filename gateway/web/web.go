package web

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"vcsagent/gateway/control"
)

// Config is what the pages work with.
type Config struct {
	// Control does what is asked for; required.
	Control *control.Control
	// Host is the name under which a proxy with a certificate serves the pages, in
	// front of a listener without TLS; "" is none.
	Host string
	// Logger gets a line for every refusal and fault; nil means slog.Default().
	Logger *slog.Logger
}

// server is the handler behind [New].
type server struct {
	control  *control.Control
	host     string // lower case
	log      *slog.Logger
	pages    map[string]*page
	assets   *assets
	failures *failures
	origins  *http.CrossOriginProtection
}

// New returns the handler for the pages: every path that isn't the API's. Time
// limits on reading a request are its [http.Server]'s.
func New(cfg Config) http.Handler {
	s := &server{control: cfg.Control, host: strings.ToLower(cfg.Host), log: cfg.Logger, assets: loadAssets(), failures: newFailures(), origins: http.NewCrossOriginProtection()}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.pages = loadPages(s.assets)

	mux := http.NewServeMux()
	route := func(path string, wrap func(handler) http.Handler, methods map[string]handler) {
		for method, h := range methods {
			mux.Handle(method+" "+path, wrap(h))
		}
		// Less specific than the above, so it gets the methods that are left.
		mux.Handle(path, wrap(refuseMethod(slices.Sorted(maps.Keys(methods)))))
	}
	for path, methods := range map[string]map[string]handler{
		"/sign-in":   {http.MethodGet: s.showSignIn, http.MethodPost: s.signIn},
		"/signed-in": {http.MethodGet: s.showSignedIn},
	} {
		route(path, s.public, methods)
	}
	for path, methods := range map[string]map[string]handler{
		"/sign-out": {http.MethodPost: s.signOut},

		"/{$}":                             {http.MethodGet: s.showPools},
		"/new-pool":                        {http.MethodGet: s.showNewPool, http.MethodPost: s.createPool},
		"/pools/{name}":                    {http.MethodGet: s.showPool},
		"/pools/{name}/waiting":            {http.MethodGet: s.showWaiting},
		"/pools/{name}/check":              {http.MethodPost: s.checkPool},
		"/pools/{name}/pause":              {http.MethodGet: s.askToPause, http.MethodPost: s.pausePool},
		"/pools/{name}/resume":             {http.MethodPost: s.resumePool},
		"/pools/{name}/delete":             {http.MethodGet: s.askToDeletePool, http.MethodPost: s.deletePool},
		"/pools/{name}/requests":           {http.MethodGet: s.showPoolRequests},
		"/pools/{name}/tokens":             {http.MethodGet: s.showTokens},
		"/pools/{name}/tokens/new":         {http.MethodGet: s.askToRotate, http.MethodPost: s.rotateToken},
		"/pools/{name}/tokens/{id}/revoke": {http.MethodGet: s.askToRevoke, http.MethodPost: s.revokeToken},
		"/pools/{name}/settings":           {http.MethodGet: s.showSettings, http.MethodPost: s.saveSettings},

		"/requests":       {http.MethodGet: s.showRequests},
		"/requests/{seq}": {http.MethodGet: s.showRequest},

		"/keys":             {http.MethodGet: s.showKeys},
		"/new-key":          {http.MethodGet: s.showNewKey, http.MethodPost: s.createKey},
		"/keys/{id}":        {http.MethodGet: s.showKey, http.MethodPost: s.saveKey},
		"/keys/{id}/delete": {http.MethodGet: s.askToDeleteKey, http.MethodPost: s.deleteKey},

		"/audit": {http.MethodGet: s.showAudit},
	} {
		route(path, s.signedIn, methods)
	}
	mux.Handle("GET /assets/{file}", s.assets)
	mux.Handle("/", s.signedIn(func(*visit) error { return notFound("There is no such page.") }))
	return s.guard(mux)
}

func refuseMethod(allowed []string) handler {
	allow := strings.Join(allowed, ", ")
	return func(v *visit) error {
		v.w.Header().Set("Allow", allow)
		return &problem{http.StatusMethodNotAllowed, "That doesn't work here", "This page takes " + allow + ". Go to it by a link or button of the pages."}
	}
}
