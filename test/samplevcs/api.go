package samplevcs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// routes are the calls of the API, with paths as GitLab documents them:
// https://docs.gitlab.com/api/rest/. ServeMux matches the segments of the
// escaped path and decodes each by itself, so group%2Frepo is one segment.
func (v *VCS) routes() http.Handler {
	mux := http.NewServeMux()
	const project = "/api/v4/projects/{project}"
	for pattern, handle := range map[string]func(w http.ResponseWriter, r *http.Request) error{
		"GET /api/v4/user":     v.getUser,
		"GET /api/v4/projects": v.listProjects,
		"GET " + project:       v.getProject,

		"GET " + project + "/repository/branches":               v.listBranches,
		"GET " + project + "/repository/branches/{branch}":      v.getBranch,
		"GET " + project + "/repository/commits/{sha}":          v.getCommit,
		"GET " + project + "/repository/commits/{sha}/statuses": v.listStatuses,
		"GET " + project + "/repository/compare":                v.compare,
		"GET " + project + "/repository/files/{file}/raw":       v.getFile,
		"GET " + project + "/repository/archive":                v.archive("tar.gz"),
		"GET " + project + "/repository/archive.tar.gz":         v.archive("tar.gz"),
		"GET " + project + "/repository/archive.zip":            v.archive("zip"),

		"GET " + project + "/merge_requests":                    v.listMergeRequests,
		"GET " + project + "/merge_requests/{iid}":              v.getMergeRequest,
		"GET " + project + "/merge_requests/{iid}/notes":        v.listNotes,
		"POST " + project + "/merge_requests/{iid}/notes":       v.postNote,
		"PUT " + project + "/merge_requests/{iid}/notes/{note}": v.putNote,
		"POST " + project + "/statuses/{sha}":                   v.postStatus,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			id := r.PathValue("project")
			if id != "" && id != Project && id != strconv.Itoa(ProjectID) {
				answerError(w, http.StatusNotFound, "404 Project Not Found")
				return
			}
			var bad *badRequest
			switch err := handle(w, r); {
			case err == nil:
			case errors.Is(err, errNotFound):
				answerError(w, http.StatusNotFound, "404 Not Found")
			case errors.As(err, &bad):
				answerJSON(w, http.StatusBadRequest, map[string]string{"error": bad.message})
			default:
				answerError(w, http.StatusInternalServerError, "500 Internal Server Error: "+err.Error())
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusNotFound, map[string]string{"error": "404 Not Found"})
	})
	return mux
}

func (v *VCS) serveAPI(w http.ResponseWriter, r *http.Request) {
	v.limit.count(w.Header(), time.Now())
	token := r.Header.Get("Private-Token")
	if token == "" {
		token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	if !isToken(token) {
		answerError(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	// ServeMux answers a path that isn't clean with a redirect; a VCS says
	// that there is nothing.
	if p := r.URL.EscapedPath(); path.Clean(p) != p {
		answerError(w, http.StatusNotFound, "404 Not Found")
		return
	}
	v.api.ServeHTTP(w, r)
}

// badRequest is what is wrong with a call's parameters.
type badRequest struct{ message string }

func (b *badRequest) Error() string { return b.message }

func answerJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a caller that is gone needs no answer
}

func answerError(w http.ResponseWriter, code int, message string) {
	answerJSON(w, code, map[string]string{"message": message})
}

// origin is the VCS's own address in the caller's terms, as far as it knows.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// rateLimit counts calls by the minute. It tells the limit and doesn't enforce
// it.
type rateLimit struct {
	mu     sync.Mutex
	minute time.Time
	calls  int
}

const callsPerMinute = 2000

func (l *rateLimit) count(h http.Header, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(l.minute) {
		l.minute, l.calls = minute, 0
	}
	l.calls++
	h.Set("RateLimit-Limit", strconv.Itoa(callsPerMinute))
	h.Set("RateLimit-Observed", strconv.Itoa(l.calls))
	h.Set("RateLimit-Remaining", strconv.Itoa(max(0, callsPerMinute-l.calls)))
	h.Set("RateLimit-Reset", strconv.FormatInt(l.minute.Add(time.Minute).Unix(), 10))
}

// answerPage answers with the page of items that the query asks for, and with
// GitLab's pagination headers.
func answerPage[T any](w http.ResponseWriter, r *http.Request, items []T) error {
	query := r.URL.Query()
	number := func(key string, otherwise int) (int, error) {
		s := query.Get(key)
		if s == "" {
			return otherwise, nil
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return 0, &badRequest{key + " is invalid"}
		}
		return n, nil
	}
	page, err := number("page", 1)
	if err != nil {
		return err
	}
	perPage, err := number("per_page", 20)
	if err != nil {
		return err
	}
	perPage = min(perPage, 100)
	pages := max(1, (len(items)+perPage-1)/perPage)

	query.Set("per_page", strconv.Itoa(perPage))
	var links []string
	link := func(rel string, page int) {
		query.Set("page", strconv.Itoa(page))
		links = append(links, fmt.Sprintf("<%s%s?%s>; rel=%q", origin(r), r.URL.EscapedPath(), query.Encode(), rel))
	}
	h := w.Header()
	if page > 1 {
		link("prev", page-1)
		h.Set("X-Prev-Page", strconv.Itoa(page-1))
	}
	if page < pages {
		link("next", page+1)
		h.Set("X-Next-Page", strconv.Itoa(page+1))
	}
	link("first", 1)
	link("last", pages)
	h.Set("Link", strings.Join(links, ", "))
	h.Set("X-Page", strconv.Itoa(page))
	h.Set("X-Per-Page", strconv.Itoa(perPage))
	h.Set("X-Total", strconv.Itoa(len(items)))
	h.Set("X-Total-Pages", strconv.Itoa(pages))
	if page > pages {
		page = pages + 1 // past the end, without overflow below
	}
	from := min((page-1)*perPage, len(items))
	answerJSON(w, http.StatusOK, items[from:min(from+perPage, len(items))])
	return nil
}

// maxBody bounds the body of a call.
const maxBody = 1 << 20

// parameters returns a call's parameters from the query and from a form or
// JSON body.
func parameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := r.ParseForm(); err != nil {
			return nil, &badRequest{err.Error()}
		}
		return r.Form, nil
	}
	values := r.URL.Query()
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil && !errors.Is(err, io.EOF) {
		return nil, &badRequest{"the body is not a JSON object: " + err.Error()}
	}
	for key, value := range body {
		values.Set(key, fmt.Sprint(value))
	}
	return values, nil
}
