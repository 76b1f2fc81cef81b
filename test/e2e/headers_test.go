package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"vcsagent/test/stack"
)

// What the VCS gets of a caller's headers: what the policy names, each value;
// nothing that is the gateway's, and nothing that a caller forges.
func TestRequestHeaders(t *testing.T) {
	vcs := record(nil)
	s := stack.New(t, stack.Options{VCS: vcs})
	onBothCarriers(t, func(t *testing.T, carrier string) {
		agent := s.StartAgent(t, "--transport", carrier, "--debug-print-all")
		pass := http.Header{
			"Accept":          {"application/json", "text/plain"},
			"Accept-Encoding": {"gzip"},
			"Authorization":   {"Bearer for-the-vcs"},
			"If-None-Match":   {`"a"`, `"b"`},
			"Private-Token":   {"also-for-the-vcs"},
			"Traceparent":     {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			"Tracestate":      {"vendor=1"},
			"User-Agent":      {"backend/1.0"},
			"X-Request-Id":    {"backend-" + carrier},
		}
		stay := http.Header{
			"Connection":             {"x-hop, if-match"},
			"Cookie":                 {"session=1"},
			"Forwarded":              {"for=1.2.3.4"},
			"If-Match":               {`"hop-by-hop, says Connection"`},
			"Keep-Alive":             {"timeout=5"},
			"Proxy-Authorization":    {"Bearer " + s.Key},
			"Proxy-Connection":       {"keep-alive"},
			"Sudo":                   {"root"},
			"Te":                     {"trailers"},
			"Vcs-Agent-Error":        {"forged"},
			"Vcs-Agent-Name":         {"forged"},
			"Vcs-Gateway-Anything":   {"forged"},
			"Vcs-Gateway-Key":        {s.Key},
			"X-Forwarded-For":        {"1.2.3.4"},
			"X-Forwarded-Host":       {"elsewhere"},
			"X-Http-Method-Override": {"DELETE"},
			"X-Original-Url":         {"/admin"},
			"X-Rewrite-Url":          {"/admin"},
			"X-Unheard-Of":           {"x"},
		}
		req := s.Request(t, "GET", call)
		req.Header = http.Header{}
		for _, h := range []http.Header{pass, stay} {
			for name, values := range h {
				req.Header[name] = values
			}
		}
		vcs.take()
		resp := s.Do(t, req)
		if resp.StatusCode != 200 || resp.Header.Get("X-Request-Id") != "backend-"+carrier {
			t.Fatalf("status %d, %v: %s", resp.StatusCode, resp.Header, readAll(t, resp))
		}
		seen := vcs.take()
		if len(seen) != 1 {
			t.Fatalf("the VCS got %d requests", len(seen))
		}
		for name, values := range seen[0].Header {
			if want := pass[name]; !slices.Equal(values, want) {
				t.Errorf("the VCS got %s: %q, want %q", name, values, want)
			}
		}
		for name := range pass {
			if _, ok := seen[0].Header[name]; !ok {
				t.Errorf("the VCS didn't get %s", name)
			}
		}
		if want := strings.TrimPrefix(s.VCSURL, "http://"); seen[0].Host != want {
			t.Errorf("the VCS got Host %q, want %q", seen[0].Host, want)
		}
		// What the agent itself got, in its own words.
		got, _ := agent.Await(t, "debug: request")["caller_headers"].(map[string]any)
		if len(got) == 0 {
			t.Fatal("the agent shows no headers")
		}
		for name := range got {
			switch http.CanonicalHeaderKey(name) {
			case "Vcs-Gateway-Key", "Vcs-Gateway-Anything", "Proxy-Authorization", "Proxy-Connection", "Vcs-Agent-Error", "Vcs-Agent-Name", "Cookie":
				t.Errorf("the agent got %s", name)
			}
		}
		for _, p := range []*stack.Process{agent.Process, s.Gateway.Process} {
			for _, secret := range []string{s.Key, "for-the-vcs", "session=1"} {
				if strings.Contains(p.Log(), secret) {
					t.Errorf("a log holds %q", secret)
				}
			}
		}
		end(t, agent)
	})
}

// Ids that could forge log lines, or that are no use, are replaced; a caller
// without one gets ours.
func TestRequestID(t *testing.T) {
	vcs := record(nil)
	s := stack.New(t, stack.Options{VCS: vcs})
	agent := s.StartAgent(t)
	for _, tt := range []struct {
		id   string
		kept bool
	}{
		{"a", true},
		{"3fa9:/+=_-.~[]{}", true},
		{strings.Repeat("i", 128), true},
		{strings.Repeat("i", 129), false},
		{"", false},
		{"two words", false},
		{`quo"te`, false},
		{"tab\tbed", false},
		{"ümlaut", false},
	} {
		req := s.Request(t, "GET", call)
		req.Header["X-Request-Id"] = []string{tt.id}
		vcs.take()
		resp := s.Do(t, req)
		got := resp.Header.Get("X-Request-Id")
		if resp.StatusCode != 200 || got == "" || (got == tt.id) != tt.kept {
			t.Errorf("id %q: status %d and id %q", tt.id, resp.StatusCode, got)
		}
		if seen := vcs.take(); len(seen) != 1 || seen[0].Header.Get("X-Request-Id") != got {
			t.Errorf("id %q: the VCS got %v", tt.id, seen)
		}
		lineOf(t, agent.Process, got)
		lineOf(t, s.Gateway.Process, got)
	}
}

// What callers get of the VCS's headers and trailers.
func TestAnswerHeaders(t *testing.T) {
	pass := http.Header{
		"Content-Type":        {"application/json"},
		"Etag":                {`W/"1"`},
		"Ratelimit-Remaining": {"1999"},
		"Retry-After":         {"7"},
		"Vary":                {"Accept", "Cookie"},
		"Www-Authenticate":    {`Basic realm="VCS"`, `Bearer`},
		"X-Page":              {"1"},
		"X-Total":             {"3"},
	}
	stay := http.Header{
		"Alt-Svc":                   {`h3=":443"`},
		"Clear-Site-Data":           {`"*"`},
		"Connection":                {"x-hop"},
		"Set-Cookie":                {"session=1", "other=2"},
		"Strict-Transport-Security": {"max-age=31536000"},
		"Vcs-Agent-Error":           {"no_agent"},
		"Vcs-Agent-Purpose":         {"forged"},
		"Vcs-Agent-Reason":          {"forged"},
		"Vcs-Gateway-Key":           {"forged"},
		"X-Hop":                     {"1"},
	}
	s := stack.New(t, stack.Options{VCS: record(func(w http.ResponseWriter, _ *http.Request) {
		// In an informational answer, in the final one, and in its trailers,
		// announced and not.
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.Header().Set("Set-Cookie", "early=1")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Del("Set-Cookie")
		for _, h := range []http.Header{pass, stay} {
			for name, values := range h {
				w.Header()[name] = values
			}
		}
		w.Header().Set("Trailer", "X-Checksum, Set-Cookie")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "{}")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Checksum", "1f")
		w.Header().Set("Set-Cookie", "late=1")
		w.Header().Set(http.TrailerPrefix+"Vcs-Agent-Error", "forged")
		w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
	})})
	onBothCarriers(t, func(t *testing.T, carrier string) {
		agent := s.StartAgent(t, "--transport", carrier)
		var early []http.Header
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			early = append(early, http.Header(h).Clone())
			return nil
		}})
		resp := s.Do(t, s.Request(t, "GET", call).WithContext(ctx))
		if body := readAll(t, resp); resp.StatusCode != http.StatusAccepted || body != "{}" {
			t.Fatalf("status %d: %q", resp.StatusCode, body)
		}
		for name, want := range pass {
			if got := resp.Header[name]; !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		for name := range stay {
			if name == "Connection" {
				continue // the gateway's own to the caller
			}
			if got, ok := resp.Header[name]; ok {
				t.Errorf("%s: %q went on to the caller", name, got)
			}
			if got, ok := resp.Trailer[name]; ok {
				t.Errorf("the trailer %s: %q went on to the caller", name, got)
			}
		}
		if got := resp.Header.Get("Vcs-Agent-Name"); got != "gitlab.project.get" {
			t.Errorf("the call's name is %q", got)
		}
		if resp.Trailer.Get("X-Checksum") != "1f" || resp.Trailer.Get("X-Late") != "yes" {
			t.Errorf("the trailers are %v", resp.Trailer)
		}
		for _, h := range early {
			if len(h) != 0 {
				t.Errorf("an informational answer brought %v", h)
			}
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || !slices.Contains(resp.Header["Content-Security-Policy"], "default-src 'none'; sandbox") {
			t.Errorf("a browser may run the answer: %v", resp.Header)
		}
		if line := s.Gateway.Await(t, "request"); line.String("outcome") != "served" || line.String("purpose") == "forged" || line.String("name") != "gitlab.project.get" {
			t.Errorf("the gateway was deceived: %v", line)
		}
		end(t, agent)
	})
}

// Location and Link come in the caller's own terms, in both forms; a redirect to
// another host doesn't come at all.
func TestRedirects(t *testing.T) {
	const archive = call + "/repository/archive"
	location := func(v string) http.Header { return http.Header{"Location": {v}} }
	// VCS stands for the VCS's address and CALLER for what callers put before paths.
	tests := map[string]struct {
		sent     http.Header
		location string // "": a 502
		link     string
	}{
		"absolute":            {location("http://VCS/gitlab/api/v4/user?x=1#f"), "CALLER/api/v4/user?x=1#f", ""},
		"path":                {location("/gitlab/api/v4/user"), "CALLER/api/v4/user", ""},
		"relative":            {location("archive.zip"), "CALLER" + call + "/repository/archive.zip", ""},
		"sign-in":             {location("http://VCS/gitlab/users/sign_in"), "CALLER/users/sign_in", ""},
		"outside-the-context": {location("/elsewhere"), "", ""},
		"beside-the-context":  {location("/gitlabs/api/v4/user"), "", ""},
		"another-host":        {location("http://storage.example.com/archive"), "", ""},
		"scheme-relative":     {location("//storage.example.com/archive"), "", ""},
		"backslashes":         {location(`/\storage.example.com/archive`), "", ""},
		"userinfo":            {location("http://u:p@VCS/gitlab/api"), "", ""},
		"another-scheme":      {location("ftp://storage.example.com/"), "", ""},
		"two":                 {http.Header{"Location": {"/gitlab/api/v4/user", "/gitlab/api/v4"}}, "", ""},
		"links": {
			http.Header{"Location": {"/gitlab/api/v4/user"}, "Link": {
				`<http://VCS/gitlab/api/v4/projects?page=2>; rel="next", <http://evil.example/>; rel="last"`, `</gitlab/api/v4/projects?page=1>; rel="first"`,
			}},
			"CALLER/api/v4/user", `<CALLER/api/v4/projects?page=2>; rel="next" | <CALLER/api/v4/projects?page=1>; rel="first"`,
		},
	}
	s := stack.New(t, stack.Options{VCS: record(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range tests[r.URL.Query().Get("sha")].sent {
			for _, v := range values {
				w.Header().Add(name, strings.ReplaceAll(v, "VCS", r.Host))
			}
		}
		w.WriteHeader(http.StatusFound)
	})})
	s.VCSURL += "/gitlab"
	s.StartAgent(t)
	for name, tt := range tests {
		for caller, args := range map[string][]string{
			"http://" + s.Gateway.HTTP + "/private/gitlab": {"-H", "VCS-Gateway-Key: " + s.Key, s.URL(archive + "?sha=" + name)},
			"http://gitlab.private":                        {"-x", s.ProxyURL().String(), "http://gitlab.private" + archive + "?sha=" + name},
		} {
			resp := curl(t, args...)
			got := resp.Header.Get("Location")
			if tt.location == "" {
				if p := problemIn(t, resp); resp.StatusCode != 502 || p.Code != "foreign_redirect" || got != "" {
					t.Errorf("%s: status %d, %+v, Location %q", name, resp.StatusCode, p, got)
				}
				continue
			}
			if want := strings.ReplaceAll(tt.location, "CALLER", caller); resp.StatusCode != 302 || got != want {
				t.Errorf("%s: status %d, Location %q, want %q", name, resp.StatusCode, got, want)
			}
			if got, want := strings.Join(resp.Header["Link"], " | "), strings.ReplaceAll(tt.link, "CALLER", caller); got != want {
				t.Errorf("%s: Link %q, want %q", name, got, want)
			}
		}
	}
}

// curl follows a redirect and pages through the gateway without knowing of it.
func TestFollowingRedirectsAndPages(t *testing.T) {
	s := stack.New(t, stack.Options{VCS: record(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Private-Token") != "t" {
			w.WriteHeader(401)
		} else if r.URL.Path == "/api/v4/projects/platform/infra" {
			w.Header().Set("Location", "http://"+r.Host+"/api/v4/user")
			w.WriteHeader(http.StatusMovedPermanently)
		} else {
			fmt.Fprintf(w, "you are at %s", r.URL.Path)
		}
	})})
	s.StartAgent(t)
	for name, args := range map[string][]string{
		"path form":  {"-H", "VCS-Gateway-Key: " + s.Key, s.URL(call)},
		"proxy form": {"-x", s.ProxyURL().String(), "http://gitlab.private" + call},
	} {
		out := runCurl(t, append([]string{"-L", "-w", " after %{num_redirects} redirect", "-H", "Private-Token: t"}, args...)...)
		if out != "you are at /api/v4/user after 1 redirect" {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// Header sections within the bound pass both ways; larger ones are refused and
// harm nothing else.
func TestHeaderSizes(t *testing.T) {
	const kib = 1 << 10
	s := stack.New(t, stack.Options{VCS: record(func(w http.ResponseWriter, r *http.Request) {
		var size int
		fmt.Sscan(r.URL.Query().Get("sha"), &size)
		w.Header().Set("X-Large", strings.Repeat("v", size))
		w.Header().Set("X-Got", fmt.Sprint(len(r.Header.Get("If-None-Match"))))
	})})
	onBothCarriers(t, func(t *testing.T, carrier string) {
		agent := s.StartAgent(t, "--transport", carrier)
		for _, tt := range []struct {
			up, down, status int
		}{
			{100 * kib, 0, 200},
			{140 * kib, 0, 431},
			{1000 * kib, 0, 431},
			{0, 100 * kib, 200},
			{0, 140 * kib, 502},
			{0, 1000 * kib, 502},
			{100 * kib, 100 * kib, 200},
		} {
			req := s.Request(t, "GET", fmt.Sprintf("%s/repository/archive?sha=%d", call, tt.down))
			req.Header.Set("If-None-Match", strings.Repeat("v", tt.up))
			resp := s.Do(t, req)
			if resp.StatusCode != tt.status {
				t.Errorf("%d bytes up, %d down: status %d, want %d: %.300s", tt.up, tt.down, resp.StatusCode, tt.status, readAll(t, resp))
			}
			if tt.status == 200 && (resp.Header.Get("X-Got") != fmt.Sprint(tt.up) || len(resp.Header.Get("X-Large")) != tt.down) {
				t.Errorf("%d bytes up, %d down: %s came up, %d down", tt.up, tt.down, resp.Header.Get("X-Got"), len(resp.Header.Get("X-Large")))
			}
			if tt.status == 502 {
				if p := problemIn(t, resp); p.Code != "vcs_unreachable" {
					t.Errorf("%d bytes down: %+v", tt.down, p)
				}
			}
		}
		if n := len(linesWith(agent.Process, "connected to the gateway")); n != 1 {
			t.Errorf("the agent had to connect %d times", n)
		}
		end(t, agent)
	})
}
