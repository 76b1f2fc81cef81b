package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/metrics"
	"vcsagent/transport"
)

// Outcomes of a request, for the log and vcs_gateway_requests_total.
const (
	outcomeServed    = store.OutcomeServed
	outcomeDenied    = store.OutcomeDenied
	outcomeVCSError  = "vcs_error" // the agent got no usable answer from the VCS
	outcomeRefused   = store.OutcomeRefused
	outcomeNoAgent   = "no_agent"  // no agent is connected, or it went away
	outcomeBusy      = "busy"      // no stream became free in time
	outcomeCancelled = "cancelled" // the caller went away before the answer's end
	outcomeCut       = "cut"       // the answer broke off on the VCS's or the agent's side
)

// finish counts and logs a request, whatever became of it.
func (h *callers) finish(c *call, r *http.Request, panicked any) {
	total := time.Since(c.began)
	status := c.w.Status()
	if status == 0 {
		status = statusCancelled
	}
	outcome := outcomeOf(c, r, panicked)
	if panicked != nil && panicked != http.ErrAbortHandler {
		h.log.Error("panic while serving a request", "id", c.id, "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
	}
	h.metrics.Requests.WithLabelValues(c.pool.Name, strconv.Itoa(status), outcome).Inc()
	if c.pool.Name != "" {
		h.metrics.Duration.WithLabelValues(c.pool.Name).Observe(total.Seconds())
	}
	h.metrics.Bytes.WithLabelValues(metrics.DirectionIn).Add(float64(c.bodyIn.Bytes()))
	h.metrics.Bytes.WithLabelValues(metrics.DirectionOut).Add(float64(c.w.Bytes()))

	attrs := make([]slog.Attr, 0, 24)
	attrs = append(attrs,
		slog.String("id", c.id), slog.String("pool", c.pool.Name), slog.String("key", c.key.Name),
		slog.String("method", r.Method), slog.String("path", loggedTarget(c, r)),
		slog.String("name", c.told.name), slog.String("purpose", c.told.purpose), slog.String("project", c.told.project),
		slog.String("outcome", outcome), slog.Int("status_code", status),
		slog.Float64("queued", c.queued.Seconds()), slog.Float64("first_byte", c.first.Seconds()), slog.Float64("elapsed", total.Seconds()),
		slog.Int64("bytes_in", c.bodyIn.Bytes()), slog.Int64("bytes_out", c.w.Bytes()))
	if c.member != nil {
		attrs = append(attrs, slog.String("session", c.member.session.ID), slog.String("instance", c.member.session.Hello.Instance), slog.String("stream", c.told.stream))
	}
	if c.code != "" {
		attrs = append(attrs, slog.String("code", c.code))
	}
	if c.told.reason != "" {
		attrs = append(attrs, slog.String("reason", c.told.reason))
	}
	if c.failure != nil {
		attrs = append(attrs, slog.String("error", c.failure.Error()))
	}
	if c.pool.Name == "" {
		attrs = append(attrs, slog.String("remote", r.RemoteAddr))
	}
	level := slog.LevelInfo
	if outcome != outcomeServed && outcome != outcomeCancelled {
		level = slog.LevelWarn
	}
	h.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// loggedTarget is where a request was to go, without credentials: the path on the
// pool's VCS or, as long as no pool is known, the whole target.
func loggedTarget(c *call, r *http.Request) string {
	target := r.RequestURI
	switch {
	case c.pool.Name != "":
		return transport.MaskTarget(c.route.target)
	case strings.HasPrefix(target, "/"), strings.Contains(target, "://"):
		return transport.MaskTarget(target)
	}
	// An authority, as after CONNECT, may have userinfo without a URL around it.
	return strings.TrimPrefix(transport.MaskTarget("://"+target), "://")
}

func outcomeOf(c *call, r *http.Request, panicked any) string {
	switch {
	case errors.Is(r.Context().Err(), context.Canceled) && (panicked != nil || c.w.Status() == 0):
		return outcomeCancelled
	case panicked != nil && c.bodyIn.failure() != nil:
		return outcomeCancelled // it sent what is no body any more
	case panicked != nil:
		return outcomeCut
	}
	switch c.code {
	case "":
		return outcomeServed
	case codeNoAgent, codeAgentLost:
		return outcomeNoAgent
	case codeBusy:
		return outcomeBusy
	case codeBodyUnreadable:
		if c.bodyIn.failure() != nil { // else the agent says so
			return outcomeRefused
		}
	}
	switch {
	case c.member == nil:
		return outcomeRefused
	case c.told.reason != "":
		return outcomeDenied
	}
	return outcomeVCSError
}
