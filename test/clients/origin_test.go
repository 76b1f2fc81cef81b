package clients_test

import (
	"io"
	"net/http"
	"sync"
)

// origin is a VCS that remembers what it was asked. It knows nothing: its
// answer is set before each call.
type origin struct {
	// serve answers what must not get the call's own answer, such as a
	// library's discovery of the API, and says whether it did. It may be nil.
	serve func(w http.ResponseWriter, r *http.Request) bool

	mu     sync.Mutex
	answer answer
	seen   []request
}

// request is one that reached the origin, with its body read.
type request struct {
	*http.Request
	body string
}

// answer is what a call gets.
type answer struct {
	status int         // 0 means 200
	header http.Header // beside Content-Type: application/json
	body   string      // "" means {}
}

// ServeHTTP implements http.Handler.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client sees it
	}
	o.mu.Lock()
	o.seen = append(o.seen, request{r, string(body)})
	a := o.answer
	o.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if o.serve != nil && o.serve(w, r) {
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	io.WriteString(w, a.body)
}

// await sets the answer to what comes next and forgets what came so far.
func (o *origin) await(a answer) {
	if a.body == "" {
		a.body = "{}"
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer, o.seen = a, nil
}

// requests returns what has come since await.
func (o *origin) requests() []request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen
}
