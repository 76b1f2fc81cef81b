package agent

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"vcsagent/allow"
	"vcsagent/transport"
)

// modifyResponse takes from the VCS's answer what must not reach the caller, and
// makes the URLs in it relative to the base endpoint.
func (h *handler) modifyResponse(resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Refused here, since ReverseProxy would leave the connection open.
		return errors.New("the VCS switches to another protocol, which nobody asked for")
	}
	c := callOf(resp.Request)
	if resp.StatusCode == http.StatusProxyAuthRequired {
		return errProxyAuth
	}
	if transport.HeaderSize(resp.Header) > vcsHeaderBytes {
		return errHeaders // a carrier would end the session over it
	}
	transport.CleanAnswer(resp.Header)
	transport.CleanAnswer(resp.Trailer)
	resp.Body = &answerBody{ReadCloser: resp.Body, resp: resp}
	if c.trace != nil {
		c.trace.answer(resp)
	}
	if err := c.rules.hosts.location(resp); err != nil {
		return err
	}
	c.rules.hosts.links(resp)
	announce(resp.Header, c)
	return nil
}

// errProxyAuth is a 407, which comes from the proxy before the VCS. Passed on, it
// would look like the gateway's own and make clients send their key again.
var errProxyAuth = errors.New("the proxy between agent and VCS wants a user and password, or other ones than HTTP_PROXY has (407)")

var errHeaders = fmt.Errorf("the VCS's answer has more than %d bytes of headers, 32 counted for each field", vcsHeaderBytes)

// answerBody takes forged names out of trailers that weren't announced: they are
// known only at the body's end.
type answerBody struct {
	io.ReadCloser
	resp *http.Response
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		transport.CleanAnswer(b.resp.Trailer)
	}
	return n, err
}

// foreignRedirectError is a redirect to a host that isn't the VCS's: a client
// that followed it would send its credentials there.
type foreignRedirectError struct{ host string }

// Error implements error.
func (e *foreignRedirectError) Error() string {
	return fmt.Sprintf("the VCS redirects to %s, which is neither the base endpoint, nor a host that a rule names, nor among the policy's redirects", e.host)
}

// hostMap relates paths as callers see them to URLs of the VCS.
type hostMap struct {
	base      *url.URL
	context   string   // the base endpoint's path without a trailing slash
	prefixes  []string // host prefixes that rules fix, such as "codeload."
	redirects []string // hosts that redirects may name, lower-case and some with a port
}

func newHostMap(base *url.URL, prefixes, redirects []string) hostMap {
	return hostMap{base: base, context: strings.TrimSuffix(base.EscapedPath(), "/"), prefixes: prefixes, redirects: redirects}
}

// target is the URL that an allowed call goes to. The host is the base
// endpoint's, or that with the prefix that the rule fixes.
func (m hostMap) target(d allow.Decision) *url.URL {
	raw := m.context + d.Path
	if d.HostPrefix != "" {
		raw = d.Path // such hosts have no context path
	}
	u := &url.URL{Scheme: m.base.Scheme, Host: d.HostPrefix + m.base.Host, RawQuery: d.RawQuery}
	path, err := url.PathUnescape(raw)
	if err == nil {
		u.Path, u.RawPath = path, raw
	}
	if err != nil || u.EscapedPath() != raw {
		// The policy only lets through what net/url sends as it is.
		panic(fmt.Sprintf("agent: the matched path of rule %s can't be sent as it was matched", d.Rule))
	}
	return u
}

// relative returns u, absolute or relative to the request, as a path (with query
// and fragment) that a caller can use, or false if it isn't on the VCS.
func (m hostMap) relative(request, ref *url.URL) (string, bool) {
	u := request.ResolveReference(ref)
	if u.User != nil || u.Opaque != "" || !strings.EqualFold(u.Scheme, m.base.Scheme) {
		return "", false
	}
	path := u.EscapedPath()
	switch {
	case sameHost(u, m.base, ""):
		rest, ok := strings.CutPrefix(path, m.context)
		if !ok || rest != "" && rest[0] != '/' {
			return "", false
		}
		path = rest
	case !m.onPrefixedHost(u):
		return "", false
	}
	// Rebuilt from its parts: an authority can't come back in through the path.
	out := url.URL{RawQuery: u.RawQuery, ForceQuery: u.ForceQuery, Fragment: u.Fragment, RawFragment: u.RawFragment}
	if path == "" {
		path = "/"
	}
	if strings.HasPrefix(path, "//") || leavesItsPlace(path) {
		return "", false
	}
	return path + out.String(), true
}

// leavesItsPlace tells paths that some clients read otherwise than as they are
// written: an encoded dot segment could lead a caller out of its pool's path at
// the gateway. No rule lets such a path through anyway.
func leavesItsPlace(escapedPath string) bool {
	for segment := range strings.SplitSeq(escapedPath, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil || plain == "." || plain == ".." || strings.Contains(plain, `\`) {
			return true
		}
	}
	return false
}

func (m hostMap) onPrefixedHost(u *url.URL) bool {
	for _, p := range m.prefixes {
		if sameHost(u, m.base, p) {
			return true
		}
	}
	return false
}

// mayRedirect tells the absolute URLs on hosts that the customer's policy lets
// redirects name. They must use https unless the VCS itself doesn't. A reference
// without a scheme is none of them: the gateway would take it for a path.
func (m hostMap) mayRedirect(u *url.URL) bool {
	scheme := strings.ToLower(u.Scheme)
	if scheme != "https" && (scheme != "http" || m.base.Scheme != "http") || u.User != nil || u.Opaque != "" {
		return false
	}
	for _, host := range m.redirects {
		allowed := &url.URL{Scheme: scheme, Host: host}
		if strings.EqualFold(u.Hostname(), allowed.Hostname()) && port(u) == port(allowed) {
			return true
		}
	}
	return false
}

func sameHost(u, base *url.URL, prefix string) bool {
	return strings.EqualFold(u.Hostname(), prefix+base.Hostname()) && port(u) == port(base)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
}

// location makes Location path-absolute, and leaves it as it is where it names a
// host that redirects may. A redirect elsewhere is an error; on other answers,
// where clients don't follow it, a foreign Location goes.
func (m hostMap) location(resp *http.Response) error {
	values := resp.Header["Location"]
	if len(values) == 0 {
		return nil
	}
	redirect := resp.StatusCode/100 == 3
	ref, err := url.Parse(values[0])
	if err == nil && len(values) == 1 {
		if path, ok := m.relative(resp.Request.URL, ref); ok {
			resp.Header.Set("Location", path)
			return nil
		}
		if m.mayRedirect(ref) {
			return nil
		}
	}
	resp.Header.Del("Location")
	if !redirect {
		return nil
	}
	host := "something that is not a URL"
	switch {
	case len(values) > 1:
		host = "several places at once"
	case err == nil:
		host = resp.Request.URL.ResolveReference(ref).Host
	}
	return &foreignRedirectError{host: host}
}

// links makes the URLs of Link (RFC 8288) path-absolute and drops the links that
// lead elsewhere: clients send their credentials along when they follow one.
func (m hostMap) links(resp *http.Response) {
	values := resp.Header["Link"]
	if len(values) == 0 {
		return
	}
	resp.Header.Del("Link")
	for _, v := range values {
		var kept []string
		for _, link := range splitLinks(v) {
			target, params, ok := cutTarget(link)
			if !ok {
				continue
			}
			ref, err := url.Parse(target)
			if err != nil {
				continue
			}
			if path, ok := m.relative(resp.Request.URL, ref); ok {
				kept = append(kept, "<"+path+">"+params)
			}
		}
		if kept != nil {
			resp.Header.Add("Link", strings.Join(kept, ", "))
		}
	}
}

// cutTarget takes a link-value apart: <target> and its parameters. More angles
// than those two could be another link to a client that looks for <…>; rel="next"
// without reading quotes.
func cutTarget(link string) (target, params string, ok bool) {
	link = strings.TrimSpace(link)
	if !strings.HasPrefix(link, "<") {
		return "", "", false
	}
	target, params, ok = strings.Cut(link[1:], ">")
	return target, params, ok && !strings.Contains(target, "<") && !strings.ContainsAny(params, "<>")
}

// splitLinks splits a Link value at the commas that are neither in <> nor in
// quotes (RFC 8288, section 3).
func splitLinks(v string) []string {
	var out []string
	start, inURL, inQuotes := 0, false, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case inQuotes:
			if c == '\\' {
				i++
			} else if c == '"' {
				inQuotes = false
			}
		case inURL:
			inURL = c != '>'
		case c == '<':
			inURL = true
		case c == '"':
			inQuotes = true
		case c == ',':
			out = append(out, v[start:i])
			start = i + 1
		}
	}
	return append(out, v[start:])
}
