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
	outcomeCancelled = "cancelled" // the caller went away before the answer's end, or stopped taking it in
	outcomeCut       = "cut"       // the answer broke off on the VCS's or the agent's side, or the key was taken back
)

// finish counts and logs a request, on stdout and for the store, whatever became of it.
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

	e := store.Request{
		ID: c.id, At: c.began, PoolID: c.pool.ID, PoolName: c.pool.Name, KeyID: c.key.ID, KeyName: c.key.Name,
		Method: r.Method, Path: loggedTarget(c, r), Name: c.told.name, Purpose: c.told.purpose, Project: c.told.project,
		Outcome: outcome, Code: c.code, Reason: c.told.reason, Status: status,
		Queued: c.queued, FirstByte: c.first, Total: total, BytesIn: c.bodyIn.Bytes(), BytesOut: c.w.Bytes(),
	}
	if c.member != nil {
		e.SessionID, e.Instance, e.Stream = c.member.session.ID, c.member.session.Hello.Instance, streamNumber(c.told.stream)
	}
	h.recorder.record(&e) // the line has what is left of long texts, too

	attrs := make([]slog.Attr, 0, 24)
	attrs = append(attrs,
		slog.String("id", e.ID), slog.String("pool", e.PoolName), slog.String("key", e.KeyName),
		slog.String("method", e.Method), slog.String("path", e.Path),
		slog.String("name", e.Name), slog.String("purpose", e.Purpose), slog.String("project", e.Project),
		slog.String("outcome", outcome), slog.Int("status_code", status),
		slog.Float64("queued", e.Queued.Seconds()), slog.Float64("first_byte", e.FirstByte.Seconds()), slog.Float64("elapsed", total.Seconds()),
		slog.Int64("bytes_in", e.BytesIn), slog.Int64("bytes_out", e.BytesOut))
	if c.member != nil {
		attrs = append(attrs, slog.String("session", e.SessionID), slog.String("instance", e.Instance), slog.String("stream", bounded(c.told.stream, 32)))
	}
	if e.Code != "" {
		attrs = append(attrs, slog.String("code", e.Code))
	}
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", e.Reason))
	}
	if c.failure != nil {
		attrs = append(attrs, slog.String("error", bounded(c.failure.Error(), 1024)))
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

// streamNumber reads an agent's number of a stream; 0 if it is none.
func streamNumber(s string) int {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
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
	case panicked != nil && c.cut != nil:
		return outcomeCut
	case panicked != nil && c.writer.stalled:
		return outcomeCancelled
	case errors.Is(r.Context().Err(), context.Canceled) && (panicked != nil || c.w.Status() == 0):
		return outcomeCancelled
	case panicked != nil && errors.Is(c.bodyIn.failure(), errBodyTooLarge):
		return outcomeRefused
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
	case codeBodyUnreadable, codeBodyTooLarge:
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
