package agent

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vcsagent/metrics"
	"vcsagent/transport"
)

// finish counts and logs a request, whatever became of it.
func (h *handler) finish(c *call, r *http.Request, cut bool) {
	elapsed := time.Since(c.began)
	status := c.w.Status()
	if status == 0 {
		status = statusCancelled
	}
	d := c.decision
	name, purpose := c.allowedBy()
	rule := name
	switch {
	case !d.Allowed:
		rule = metrics.RuleNone
	case d.Observed != "":
		rule = metrics.RuleObserved
		h.metrics.Observed.WithLabelValues(string(d.Observed)).Inc()
	}
	m := h.metrics
	m.StreamRequests.WithLabelValues(strconv.Itoa(c.stream)).Inc()
	m.Requests.WithLabelValues(rule, strconv.Itoa(status)).Inc()
	m.Duration.Observe(elapsed.Seconds())
	m.Bytes.WithLabelValues(metrics.DirectionIn).Add(float64(c.bodyIn.Bytes()))
	m.Bytes.WithLabelValues(metrics.DirectionOut).Add(float64(c.w.Bytes()))

	level, msg := slog.LevelInfo, "served"
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs,
		slog.String("id", c.id), slog.String("name", name), slog.String("purpose", purpose), slog.String("project", d.Project),
		slog.String("method", r.Method), slog.String("path", loggedPath(r.RequestURI)), slog.String("raw_path", transport.MaskTarget(r.RequestURI)),
		slog.Int("status_code", status), slog.Float64("elapsed", elapsed.Seconds()),
		slog.Int64("bytes_in", c.bodyIn.Bytes()), slog.Int64("bytes_out", c.w.Bytes()),
		slog.Int("stream", c.stream), slog.String("pool_id", h.poolID))
	if mode := c.rules.mode(); mode != modeEnforce {
		attrs = append(attrs, slog.String("policy", mode))
	}
	if d.Observed != "" {
		attrs = append(attrs, slog.String("observed", string(d.Observed)), slog.String("detail", d.Detail), slog.String("nearest_rule", c.nearest()))
	}
	switch {
	case c.code == codeDenied:
		level, msg = slog.LevelWarn, "denied"
		attrs = append(attrs, slog.String("reason", string(d.Reason)), slog.String("detail", d.Detail), slog.String("nearest_rule", c.nearest()))
	case c.code != "":
		level, msg = slog.LevelWarn, "failed"
		attrs = append(attrs, slog.String("code", c.code))
	case cut && r.Context().Err() != nil:
		msg = "cancelled"
	case cut:
		level, msg = slog.LevelWarn, "cut"
	}
	if c.failure != nil {
		attrs = append(attrs, slog.String("error", maskError(c.failure)))
	}
	h.log.LogAttrs(r.Context(), level, msg, attrs...)
	if c.trace != nil {
		c.trace.log(h.log, c)
	}
}

// loggedPath is the decoded path, for people; raw_path is what came.
func loggedPath(target string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return ""
	}
	return transport.MaskTarget(u.Path)
}

// maxLoggedError bounds an error in a line: some quote what the VCS sent.
const maxLoggedError = 1 << 10

// maskError takes query values out of the URL that net/http's client puts before its errors.
func maskError(err error) string {
	s := err.Error()
	if ue, ok := err.(*url.Error); ok {
		s = ue.Op + " " + transport.MaskTarget(ue.URL) + ": " + ue.Err.Error()
	}
	if len(s) > maxLoggedError {
		s = strings.ToValidUTF8(s[:maxLoggedError], "") + "…"
	}
	return transport.Printable(s)
}
