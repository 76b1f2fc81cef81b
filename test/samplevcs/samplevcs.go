// Package samplevcs is a small VCS for demonstrations and tests: one real bare
// repository behind git's own smart HTTP server, and the part of GitLab's REST
// API that an infrastructure-as-code backend uses, answered from that
// repository by git.
//
//	vcs, err := samplevcs.New(dir)
//	…
//	http.ListenAndServe("127.0.0.1:8929", vcs)
//
// It has one project, [Project], and one credential, [Token]. Pushing works, so
// that a push that doesn't get through was stopped elsewhere. What is posted
// (statuses, notes) is kept in memory. It needs git, and sees nothing of the
// user's git configuration. It is not made to face a network: it trusts
// whoever knows the token, and the token is public.
package samplevcs

import (
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const (
	// Project is the path of the one project, without ".git".
	Project = "platform/infra"
	// ProjectID is its number, by which the API knows it too.
	ProjectID = 17
	// Token is what callers present: to the API as PRIVATE-TOKEN or as
	// Authorization: Bearer, to git as the password of any user.
	Token = "sample-vcs-token"
	// DefaultBranch and FeatureBranch are the repository's two branches. The
	// latter is one commit ahead, and merge request MergeRequest asks to merge
	// it.
	DefaultBranch = "main"
	FeatureBranch = "feature/more-subnets"
	MergeRequest  = 1
	// Tag is an annotated tag, one commit behind the default branch.
	Tag = "v1.0.0"
	// ConfigFile is the platform's own configuration in the repository.
	ConfigFile = ".spacelift/config.yml"
)

// maxRequests is how many requests [VCS.Requests] remembers.
const maxRequests = 1000

// VCS is the server. Its methods may be called at the same time.
type VCS struct {
	// Stderr gets what git writes to its standard error while it serves; nil
	// drops it. It must not be changed once the VCS serves.
	Stderr io.Writer

	root     string // of all repositories
	repo     repository
	execPath string // where http-backend is
	api      http.Handler
	posted   posted
	limit    rateLimit

	mu       sync.Mutex
	requests []Request
}

// Request is a request as it reached the VCS.
type Request struct {
	Method string
	URI    string // the request target as it was sent, nothing decoded
	Host   string
	Header http.Header
}

// New makes the repository below dir, which must not hold one yet, and returns
// a server for it.
func New(dir string) (*VCS, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("the sample VCS needs git: %w", err)
	}
	root := filepath.Join(dir, "repositories")
	repo, err := createRepository(filepath.Join(root, filepath.FromSlash(Project)+".git"))
	if err != nil {
		return nil, fmt.Errorf("create the sample repository: %w", err)
	}
	v := &VCS{root: root, repo: repo, execPath: strings.TrimSpace(string(execPath))}
	v.api = v.routes()
	return v, nil
}

// ServeHTTP answers a call of the API or of git's smart HTTP.
func (v *VCS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.record(r)
	switch path := r.URL.EscapedPath(); {
	case path == "/api/v4" || strings.HasPrefix(path, "/api/v4/"):
		v.serveAPI(w, r)
	case strings.Contains(path, ".git/"):
		v.serveGit(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Requests returns the last requests, at most 1000, oldest first.
func (v *VCS) Requests() []Request {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.requests)
}

func (v *VCS) record(r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.requests) == maxRequests {
		v.requests = slices.Delete(v.requests, 0, 1)
	}
	v.requests = append(v.requests, Request{r.Method, r.RequestURI, r.Host, r.Header.Clone()})
}

func isToken(s string) bool { return subtle.ConstantTimeCompare([]byte(s), []byte(Token)) == 1 }
