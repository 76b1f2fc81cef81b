package samplevcs

import (
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"path/filepath"
)

// serveGit hands a call to git http-backend, which serves what lies below root
// and nothing else.
func (v *VCS) serveGit(w http.ResponseWriter, r *http.Request) {
	_, password, _ := r.BasicAuth()
	if !isToken(password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="sample VCS"`)
		http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
		return
	}
	// net/http/cgi refuses chunked bodies, which git sends once a push or a
	// negotiation is large. http-backend reads to the end when it isn't told
	// a length, so such a body may pass.
	r = r.Clone(r.Context())
	r.TransferEncoding = nil
	stderr := v.Stderr
	if stderr == nil {
		stderr = io.Discard
	}
	backend := cgi.Handler{
		Path: filepath.Join(v.execPath, "git-http-backend"),
		Root: "/",
		Dir:  v.root,
		Env: append(environment(),
			"GIT_PROJECT_ROOT="+v.root,
			"GIT_HTTP_EXPORT_ALL=1",
		),
		Stderr: stderr,
		Logger: log.New(stderr, "", 0),
	}
	backend.ServeHTTP(w, r)
}
