package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vcsagent/allow"
	"vcsagent/transport"
)

const (
	// checkTimeout bounds the question to the VCS, its answer's body included; a
	// shorter --vcs-timeout bounds it instead.
	checkTimeout = 10 * time.Second
	// checkMemory is how long an answer stands for the next check, so that whoever
	// may check can't make the agent hammer the VCS.
	checkMemory = time.Second
	// maxCheckBytes bounds what is read of the VCS's answer. The largest, of
	// GitHub's meta, has some 10 KiB.
	maxCheckBytes = 64 << 10

	checkName    = "agent.check" // in the log, where a request has its rule
	checkPurpose = "Check that the VCS answers, for the gateway's operator."

	noStream = 0 // a check takes none, so that it works while all are busy
)

// probe is the one call of a vendor's API by which a check asks the VCS.
type probe struct {
	path   string // below the base endpoint
	member string // of the answer's JSON: the version
	header string // of any answer, a refusal too: the version; "" if there is none
	mark   string // where no member has the version, one by which the vendor's answer is known
}

// probes are the vendors' calls that tell the version to anyone who may call at
// all. Where an instance wants a credential first (GitLab always, the others as
// they are set up), its 401 or 403 still shows that it answers. Azure DevOps Server
// has no call that tells its version; connectionData is in preview for good, so it
// takes no released api-version, and goes without.
var probes = map[string]probe{
	"azure_devops":         {path: "/_apis/connectionData", mark: "instanceId"},
	"bitbucket_datacenter": {path: "/rest/api/1.0/application-properties", member: "version"},
	"gitea":                {path: "/api/v1/version", member: "version"},
	"github_enterprise":    {path: "/api/v3/meta", member: "installed_version", header: "X-GitHub-Enterprise-Version"},
	"gitlab":               {path: "/api/v4/version", member: "version"},
}

// isCheck tells the gateway's own question from the requests that it forwards: it
// forwards none below that prefix, in no spelling. Whatever isn't exactly this goes
// to the policy, as every request does.
func isCheck(r *http.Request) bool {
	return r.Method == http.MethodGet && r.RequestURI == transport.CheckPath
}

// isOwnPath tells the escaped paths that are the gateway's and the agent's own. They
// are never forwarded, though a rule of the customer's may match them, or no rule
// need to while the policy observes.
func isOwnPath(escaped string) bool {
	const own = "/.well-known/vcs-agent"
	plain, err := url.PathUnescape(escaped)
	return err != nil || len(plain) >= len(own) && strings.EqualFold(plain[:len(own)], own) && (len(plain) == len(own) || plain[len(own)] == '/')
}

// checks lets one check at a time ask the VCS, and remembers its answer.
type checks struct {
	turn chan struct{} // holds a value while someone has the turn, who alone uses the rest
	last transport.CheckResult
	till time.Time // last stands until then
}

func newChecks() *checks { return &checks{turn: make(chan struct{}, 1)} }

// serveCheck answers the gateway's question whether the VCS answers. The policy has
// no say but for the customer's blocks: the question is fixed, reads, and nothing
// of the answer leaves but its status and version.
func (h *handler) serveCheck(w http.ResponseWriter, r *http.Request) {
	var result transport.CheckResult
	h.handle(w, r, noStream,
		func(c *call, r *http.Request) {
			result = h.check(c, r)
			c.code = result.Code
			writeCheck(c.w, result)
		},
		func(c *call, r *http.Request, cut bool) { h.logCheck(c, r, result, cut) })
}

func writeCheck(w http.ResponseWriter, result transport.CheckResult) {
	body, err := json.Marshal(result)
	if err != nil {
		panic("agent: encode a check's result: " + err.Error()) // strings and finite numbers always encode
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(body) // the gateway has gone if this fails: nothing to be done
}

// check asks the VCS, or gives the answer of a moment ago.
func (h *handler) check(c *call, r *http.Request) transport.CheckResult {
	vendor := c.rules.policy.Vendor()
	p, ok := probes[vendor]
	if !ok {
		panic("agent: no call is known that checks the vendor " + vendor)
	}
	if d := c.rules.policy.Check(http.MethodGet, p.path); d.Reason == allow.Blocked {
		c.decision = d
		return transport.CheckResult{Vendor: vendor, Code: codeDenied, Detail: sentence(d.Detail)}
	}
	memory := h.checks
	select {
	case memory.turn <- struct{}{}:
		defer func() { <-memory.turn }()
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
	if time.Now().Before(memory.till) {
		return memory.last
	}
	began := time.Now()
	result := h.ask(c, r, p)
	result.Vendor, result.Elapsed = vendor, time.Since(began).Seconds()
	memory.last, memory.till = result, time.Now().Add(checkMemory)
	return result
}

// ask sends the vendor's call, with the agent's own credential if it has one and
// nothing of the gateway's request but its id. Like every call it follows no
// redirect.
func (h *handler) ask(c *call, r *http.Request, p probe) transport.CheckResult {
	ctx, cancel := context.WithTimeout(r.Context(), min(checkTimeout, h.upstream.ResponseHeaderTimeout))
	defer cancel()
	req := (&http.Request{Method: http.MethodGet, URL: c.rules.hosts.target(allow.Decision{Path: p.path}), Header: http.Header{}}).WithContext(ctx)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "vcs-agent") // GitHub refuses calls without one
	req.Header.Set(transport.RequestIDHeader, c.id)
	if c.credential != nil {
		c.credential.put(req.Header, "")
	}
	if h.debug {
		c.trace = newDebugTrace(c, r)
		c.trace.request(req, c.credential)
	}
	resp, err := h.proxy.Transport.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusProxyAuthRequired {
		resp.Body.Close()
		err = errProxyAuth
	}
	if err != nil {
		c.failure = hinted(err)
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // nobody is there to answer, and it says nothing of the VCS
		}
		if isTimeout(err) {
			return transport.CheckResult{Code: codeTimeout, Detail: detailTimeout}
		}
		return transport.CheckResult{Code: codeUnreachable, Detail: detailUnreachable}
	}
	defer resp.Body.Close()
	if c.trace != nil {
		c.trace.answer(resp)
	}
	result := transport.CheckResult{Reachable: true, Status: resp.StatusCode}
	if p.header != "" {
		// GitHub documents the bare number and, for some versions, one with its product.
		result.Version = usableVersion(strings.TrimPrefix(resp.Header.Get(p.header), "enterprise-server@"))
	}
	known := false
	if resp.StatusCode == http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxCheckBytes+1))
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			c.failure = err
			result.Detail = "The VCS began an answer and broke it off."
			return result
		}
		var version string
		if len(body) <= maxCheckBytes {
			version, known = p.read(body)
		}
		if version != "" {
			result.Version = version
		}
	}
	result.Detail = p.detail(result, known, c)
	return result
}

// read returns the version in an answer's body, and whether it is the vendor's
// answer at all.
func (p probe) read(body []byte) (version string, known bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return "", false
	}
	if p.member == "" {
		return "", members[p.mark] != nil
	}
	if json.Unmarshal(members[p.member], &version) != nil {
		return "", false
	}
	version = usableVersion(version)
	return version, version != ""
}

// usableVersion returns s if it can be a version, else "": no other text of the
// VCS's may leave this way.
func usableVersion(s string) string {
	if len(s) > transport.MaxVersionBytes || strings.ContainsFunc(s, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune(".+-_~", r))
	}) {
		return ""
	}
	return s
}

// detail says what an answer without the version, or beside it, means for the one
// who checks; "" if it is as it should be.
func (p probe) detail(result transport.CheckResult, known bool, c *call) string {
	const right = "; are the agent's vendor and base endpoint right?"
	vendor, status := c.rules.policy.Vendor(), result.Status
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	switch {
	case known && p.member == "":
		return "The VCS answers; " + vendor + " has no call that tells its version."
	case known:
		return ""
	case status == http.StatusOK:
		return "Something answers, but not as " + vendor + " does" + right
	case status/100 == 3:
		return "The VCS answers with a redirect, which the agent doesn't follow" + right
	case refused && c.credential != nil:
		return fmt.Sprintf("The VCS answers, but refuses the agent's credential, or the version to it (status %d).", status)
	case refused && result.Version != "":
		return ""
	case refused:
		return "The VCS answers; its version needs a credential, and the agent has none of its own."
	case status == http.StatusNotFound:
		return "Something answers, but doesn't know the call by which " + vendor + " is checked" + right
	case status/100 == 5:
		return fmt.Sprintf("The VCS, or a proxy before it, answers with an error of its own (status %d).", status)
	}
	return fmt.Sprintf("The VCS answers with status %d to the call that should tell its version.", status)
}

// logCheck logs a check as finish does a request. It is counted nowhere: the metrics
// are of callers' requests.
func (h *handler) logCheck(c *call, r *http.Request, result transport.CheckResult, cut bool) {
	status := c.w.Status()
	if status == 0 {
		status = statusCancelled
	}
	level, msg := slog.LevelInfo, "served"
	attrs := []slog.Attr{
		slog.String("id", c.id), slog.String("name", checkName), slog.String("purpose", checkPurpose), slog.String("project", ""),
		slog.String("method", r.Method), slog.String("path", r.RequestURI), slog.String("raw_path", r.RequestURI),
		slog.Int("status_code", status), slog.Float64("elapsed", time.Since(c.began).Seconds()),
		slog.Int64("bytes_in", c.bodyIn.Bytes()), slog.Int64("bytes_out", c.w.Bytes()),
		slog.Int("stream", c.stream), slog.String("pool_id", h.poolID),
		slog.Int("vcs_status", result.Status), slog.String("vcs_version", result.Version),
	}
	switch {
	case c.code == codeDenied:
		level, msg = slog.LevelWarn, "denied"
		attrs = append(attrs, slog.String("reason", string(c.decision.Reason)), slog.String("detail", c.decision.Detail), slog.String("nearest_rule", c.nearest()))
	case c.code != "":
		level, msg = slog.LevelWarn, "failed"
		attrs = append(attrs, slog.String("code", c.code))
	case cut:
		msg = "cancelled"
	}
	if c.failure != nil {
		attrs = append(attrs, slog.String("error", maskError(c.failure)))
	}
	h.log.LogAttrs(r.Context(), level, msg, attrs...)
	if c.trace != nil {
		c.trace.log(h.log, c)
	}
}
