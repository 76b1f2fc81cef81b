package web

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"vcsagent/gateway/control"
)

// maxBody bounds a form.
const maxBody = 64 << 10

// policy is the pages' content security policy. Nothing runs, loads or is sent
// but by the pages' own files; a page can be framed by nobody. The script turns
// text into markup in one place, the Trusted Types policy named here.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types pages"

// guard is around everything: it sets the headers that keep an answer from being
// misused, and refuses what a page of somebody else's could send.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // forms must say where they come from
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		v := &visit{server: s, w: w, r: r}
		if !s.trusts(r) {
			v.fail(&problem{http.StatusMisdirectedRequest, "Not under this name", "Without TLS the pages answer only under a loopback address or localhost: a key " +
				"must not go over a network in clear, and no other site's name may lead here. Use http://127.0.0.1 with the admin listener's port, or set --admin-tls-cert and --admin-tls-key, or --pages-host to the name that a proxy with a certificate serves them under."})
			return
		}
		if err := s.origins.Check(r); err != nil {
			s.log.Warn("refused a form from another site", "origin", control.Shown(r.Header.Get("Origin")), "path", control.Shown(r.URL.Path), "remote_address", r.RemoteAddr)
			v.fail(&problem{http.StatusForbidden, "Not from these pages", "The form was sent by another site, so nothing was done. If it was you, send it from the gateway's own page."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// trusts says whether a browser may be shown the pages under the name that it
// used. With TLS the name is the operator's, who has its certificate. Without, it
// must lead to this machine itself, or be the one that a proxy with a certificate
// uses: a site could make its own name point here (DNS rebinding) and would be of
// the same origin as the pages, and anywhere else the key would be typed into a
// form in clear, for a cookie that browsers don't keep there.
func (s *server) trusts(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(host, "."), "["), "]"))
	if host == s.host && host != "" {
		return true
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761: loopback, by browsers' own rule
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// logRefusal tells of a request that was refused, without what it sent.
func (s *server) logRefusal(r *http.Request, level slog.Level, p *problem, key string, err error) {
	s.log.LogAttrs(r.Context(), level, "page refused", slog.Int("status", p.status), slog.String("method", control.Shown(r.Method)), slog.String("path", control.Shown(r.URL.Path)),
		slog.String("remote_address", r.RemoteAddr), slog.String("key", key), slog.String("error", control.Shown(err.Error())))
}
