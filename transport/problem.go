package transport

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ErrorHeader names the code of an answer that the agent or the gateway made
// itself. It is taken off everything that comes from a VCS or a caller, so that
// it can't be forged.
const ErrorHeader = "VCS-Agent-Error"

// Headers by which the agent tells the gateway what a call was. The gateway logs
// them and passes on only NameHeader.
const (
	NameHeader    = "VCS-Agent-Name"    // the rule's name
	PurposeHeader = "VCS-Agent-Purpose" // what the call is for
	ProjectHeader = "VCS-Agent-Project" // the project it touches, percent-encoded
	StreamHeader  = "VCS-Agent-Stream"  // the stream's number, from 1
	ReasonHeader  = "VCS-Agent-Reason"  // a denial's reason code
)

// RequestIDHeader carries a request's id from the caller to the VCS.
const RequestIDHeader = "X-Request-Id"

// Problem is an answer of our own, as problem+json (RFC 9457) with the code in
// [ErrorHeader] too. The detail stands under message as well, where clients of
// GitHub, GitLab and Azure DevOps look for what to tell their users.
type Problem struct {
	Status     int           // the HTTP status
	Code       string        // stable, for programs: denied, vcs_timeout, busy, …
	Detail     string        // one sentence for people
	ID         string        // the request's id; "" leaves it out
	Reason     string        // a denial's reason code; "" leaves it out
	Nearest    string        // a denial's nearest rule; "" leaves it out
	RetryAfter time.Duration // for Retry-After, whole seconds; 0 leaves it out
}

// Write sends p as the answer to r's method.
func (p Problem) Write(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(struct {
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		Code    string `json:"code"`
		Reason  string `json:"reason,omitempty"`
		Nearest string `json:"nearest_rule,omitempty"`
		ID      string `json:"id,omitempty"`
		Message string `json:"message"`
	}{http.StatusText(p.Status), p.Status, p.Detail, p.Code, p.Reason, p.Nearest, p.ID, p.Detail})
	if err != nil {
		panic("transport: encode problem: " + err.Error()) // strings and a number always encode
	}
	body = append(body, '\n')
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(ErrorHeader, p.Code)
	if p.Reason != "" {
		h.Set(ReasonHeader, p.Reason)
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		w.Write(body) // the peer has gone if this fails: nothing to be done
	}
}
