package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const metadataPrefix = "SPACELIFT_METADATA_"

// metadata returns the tags that the environment gives this agent, by the rest
// of the variable's name as it is.
func metadata(env []string) map[string]string {
	tags := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if tag, ok := strings.CutPrefix(name, metadataPrefix); ok {
			tags[tag] = value
		}
	}
	return tags
}

// transportDebug reports whether the variables that gRPC's Go library reads,
// which deployments set to see more of the connection, ask for detail.
func transportDebug(env []string) bool {
	const detailed = 2 // the verbosity from which gRPC logs single frames
	verbosity, _ := strconv.Atoi(lookup(env, "GRPC_GO_LOG_VERBOSITY_LEVEL"))
	return strings.EqualFold(lookup(env, "GRPC_GO_LOG_SEVERITY_LEVEL"), "info") || verbosity >= detailed
}

// proxy is a variable of the environment that names a proxy.
type proxy struct{ variable, value string }

// proxies returns the proxies that count: of each pair the first that isn't
// empty, as net/http and x/net/http/httpproxy read them.
func proxies(env []string) []proxy {
	var set []proxy
	for _, pair := range [][]string{{"https_proxy", "HTTPS_PROXY"}, {"http_proxy", "HTTP_PROXY"}} {
		for _, name := range pair {
			if v := lookup(env, name); v != "" {
				set = append(set, proxy{name, v})
				break
			}
		}
	}
	return set
}

var proxySchemes = []string{"http", "https", "socks5", "socks5h"}

// checkProxies refuses what the libraries would take for no proxy at all, or
// fail on at the first request.
func checkProxies(env []string) error {
	var problems []error
	for _, p := range proxies(env) {
		if _, ok := parseProxy(p.value); !ok {
			problems = append(problems, fmt.Errorf("%s is %q: it must be a proxy's URL, such as http://10.10.1.1:8888, with one of the schemes %s",
				p.variable, maskUserinfo(p.value), strings.Join(proxySchemes, ", ")))
		}
	}
	return errors.Join(problems...)
}

// parseProxy reads a proxy's URL; without a scheme it's an HTTP proxy's
// host:port, as everywhere.
func parseProxy(raw string) (*url.URL, bool) {
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || !slices.Contains(proxySchemes, u.Scheme) {
		return nil, false
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, false
		}
	}
	return u, true
}

// maskUserinfo hides the user and password of what may be no URL at all.
func maskUserinfo(raw string) string {
	at := strings.LastIndex(raw, "@")
	if at < 0 {
		return raw
	}
	scheme := ""
	if i := strings.Index(raw, "://"); i >= 0 && i < at {
		scheme = raw[:i+len("://")]
	}
	return scheme + "[masked]" + raw[at:]
}

// proxyPasswords returns the passwords of the proxies, as written and decoded.
func proxyPasswords(env []string) []string {
	var all []string
	for _, p := range proxies(env) {
		u, ok := parseProxy(p.value)
		if !ok || u.User == nil {
			continue
		}
		if password, ok := u.User.Password(); ok {
			_, written, _ := strings.Cut(u.User.String(), ":")
			all = append(all, password, written)
		}
	}
	return all
}

func lookup(env []string, name string) string {
	for _, e := range env {
		if n, v, _ := strings.Cut(e, "="); n == name {
			return v
		}
	}
	return ""
}
