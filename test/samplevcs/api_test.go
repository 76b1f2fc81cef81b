package samplevcs_test

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"vcsagent/test/samplevcs"
)

const p = "/api/v4/projects/platform%2Finfra"

func TestCalls(t *testing.T) {
	s := start(t)
	head := branchHead(t, s, "main")
	feature := branchHead(t, s, "feature%2Fmore-subnets")
	for _, tt := range []struct {
		target string
		code   int
		want   string // in the body
	}{
		{"/api/v4", 404, `404 Not Found`},
		{"/api/v4/user", 200, `"username":"sample-bot"`},
		{"/api/v4/users", 404, `404 Not Found`},
		{"/api/v4/version", 404, `404 Not Found`},
		{"/api/v4/projects", 200, `[{"id":17,`},
		{p, 200, `"path_with_namespace":"platform/infra"`},
		{"/api/v4/projects/17", 200, `"http_url_to_repo":"` + s.URL + `/platform/infra.git"`},
		{"/api/v4/projects/18", 404, `404 Project Not Found`},
		{"/api/v4/projects/platform%2Fother", 404, `404 Project Not Found`},
		{"/api/v4/projects/platform%252Finfra", 404, `404 Project Not Found`},
		{"/api/v4/projects/platform/infra", 404, `404 Not Found`},
		{p + "/hooks", 404, `404 Not Found`},
		{"/api/v4//projects", 404, `404 Not Found`},
		{"/api/v4/x/../projects", 404, `404 Not Found`},

		{p + "/repository/branches", 200, `"name":"feature/more-subnets"`},
		{p + "/repository/branches?search=subnets", 200, `[{"name":"feature/more-subnets"`},
		{p + "/repository/branches?search=nothing", 200, `[]`},
		{p + "/repository/branches/feature%2Fmore-subnets", 200, `"title":"Add a second subnet"`},
		{p + "/repository/branches/feature/more-subnets", 404, `404 Not Found`},
		{p + "/repository/branches/main", 200, `"default":true`},
		{p + "/repository/branches/main~1", 404, `404 Not Found`},
		{p + "/repository/branches/v1.0.0", 404, `404 Not Found`},

		{p + "/repository/commits/" + feature, 200, `"message":"Add a second subnet\n\nThe first one is full.\n"`},
		{p + "/repository/commits/" + feature[:12], 200, `"parent_ids":["` + head + `"]`},
		{p + "/repository/commits/v1.0.0", 200, `"title":"Add a network"`},
		{p + "/repository/commits/" + strings.Repeat("0", 40), 404, `404 Not Found`},
		{p + "/repository/commits/--all", 404, `404 Not Found`},

		{p + "/repository/compare?from=main&to=feature/more-subnets", 200, `+resource \"subnet\" \"second\"`},
		{p + "/repository/compare?from=v1.0.0&to=" + head, 200, `"new_path":"modules/network/main.tf"`},
		{p + "/repository/compare?from=feature%2Fmore-subnets&to=main", 200, `"diffs":[]`},
		{p + "/repository/compare?from=feature%2Fmore-subnets&to=main&straight=true", 200, `-resource \"subnet\" \"second\"`},
		{p + "/repository/compare?from=main&to=main", 200, `"compare_same_ref":true`},
		{p + "/repository/compare?from=main", 400, `to is missing`},
		{p + "/repository/compare?from=main&to=nothing", 404, `404 Not Found`},

		{p + "/repository/files/.spacelift%2Fconfig.yml/raw", 200, `version: "2"`},
		{p + "/repository/files/%2Espacelift%2Fconfig%2Eyml/raw?ref=" + feature, 200, `version: "2"`},
		{p + "/repository/files/modules%2Fnetwork%2Fmain.tf/raw?ref=v1.0.0", 200, `cidr = "10.0.0.0/16"`},
		{p + "/repository/files/.spacelift%2Fother.yml/raw", 404, `404 Not Found`},
		{p + "/repository/files/.spacelift/raw", 404, `404 Not Found`},
		{p + "/repository/files/.spacelift%2Fconfig.yml", 404, `404 Not Found`},
		{p + "/repository/files/.spacelift%2Fconfig.yml/raw?ref=nothing", 404, `404 Not Found`},

		{p + "/merge_requests", 200, `"source_branch":"feature/more-subnets"`},
		{p + "/merge_requests?state=opened&target_branch=main", 200, `"iid":1,`},
		{p + "/merge_requests?state=all", 200, `"iid":1,`},
		{p + "/merge_requests?state=merged", 200, `[]`},
		{p + "/merge_requests/1", 200, `"sha":"` + feature + `"`},
		{p + "/merge_requests/2", 404, `404 Not Found`},
		{p + "/merge_requests/1/notes", 200, `[]`},
		{p + "/repository/commits/" + head + "/statuses", 200, `[]`},
	} {
		resp, body := s.call(t, "GET", tt.target, "", "")
		if resp.StatusCode != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("GET %s: %s, want %d with %q\n%s", tt.target, resp.Status, tt.code, tt.want, body)
		}
		if resp.Header.Get("RateLimit-Limit") == "" || resp.Header.Get("RateLimit-Reset") == "" {
			t.Errorf("GET %s: no rate limit in %v", tt.target, resp.Header)
		}
	}
}

func TestPosts(t *testing.T) {
	s := start(t)
	const form, asJSON = "application/x-www-form-urlencoded", "application/json"
	head := branchHead(t, s, "main")
	for _, tt := range []struct {
		method, target, contentType, body string
		code                              int
		want                              string
	}{
		{"POST", p + "/statuses/" + head, form, "state=pending&name=plan", 201, `"status":"pending"`},
		{"POST", p + "/statuses/" + head, asJSON, `{"state":"success","context":"plan","description":"No changes"}`, 201, `"name":"plan"`},
		{"POST", p + "/statuses/" + head + "?state=running", "", "", 201, `"status":"running"`},
		{"POST", p + "/statuses/" + head, form, "state=done", 400, `state does not have a valid value`},
		{"POST", p + "/statuses/" + head, form, "", 400, `state is missing`},
		{"POST", p + "/statuses/" + head, asJSON, `["state"]`, 400, `not a JSON object`},
		{"POST", p + "/statuses/" + strings.Repeat("0", 40), form, "state=pending", 404, `404 Not Found`},
		{"GET", p + "/repository/commits/" + head + "/statuses", "", "", 200, `"description":"No changes"`},
		{"GET", p + "/repository/commits/v1.0.0/statuses", "", "", 200, `[]`},

		{"POST", p + "/merge_requests/1/notes", asJSON, `{"body":"2 to add"}`, 201, `"body":"2 to add"`},
		{"POST", p + "/merge_requests/1/notes", asJSON, `{}`, 400, `body is missing`},
		{"POST", p + "/merge_requests/1/notes", form, "body=" + strings.Repeat("x", 1<<20), 400, `too large`},
		{"POST", p + "/merge_requests/2/notes", form, "body=x", 404, `404 Not Found`},
		{"PUT", p + "/merge_requests/1/notes/4", form, "body=3+to+add", 200, `"body":"3 to add"`},
		{"PUT", p + "/merge_requests/1/notes/9", form, "body=x", 404, `404 Not Found`},
		{"GET", p + "/merge_requests/1/notes", "", "", 200, `"body":"3 to add"`},
		{"DELETE", p + "/merge_requests/1", "", "", 404, `404 Not Found`},
	} {
		resp, body := s.call(t, tt.method, tt.target, tt.contentType, tt.body)
		if resp.StatusCode != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s %.80s: %s, want %d with %q\n%s", tt.method, tt.target, tt.body, resp.Status, tt.code, tt.want, body)
		}
	}
}

func TestAPINeedsTheToken(t *testing.T) {
	s := start(t)
	for _, tt := range []struct {
		key, value string
		code       int
	}{
		{"PRIVATE-TOKEN", samplevcs.Token, 200},
		{"PRIVATE-TOKEN", samplevcs.Token + "x", 401},
		{"PRIVATE-TOKEN", "", 401},
		{"Authorization", "Bearer " + samplevcs.Token, 200},
		{"Authorization", "Bearer x", 401},
		{"Authorization", "Basic " + samplevcs.Token, 401},
	} {
		req, err := http.NewRequest("GET", s.URL+"/api/v4/user", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(tt.key, tt.value)
		if resp, body := s.do(t, req); resp.StatusCode != tt.code {
			t.Errorf("%s: %s: %s, want %d\n%s", tt.key, tt.value, resp.Status, tt.code, body)
		}
	}
}

func TestPages(t *testing.T) {
	s := start(t)
	const branches = p + "/repository/branches"
	for _, tt := range []struct {
		query string
		names []string
		link  string // URL stands for scheme and host
	}{
		{"", []string{"feature/more-subnets", "main"},
			`<URL?page=1&per_page=20>; rel="first", <URL?page=1&per_page=20>; rel="last"`},
		{"?per_page=1", []string{"feature/more-subnets"},
			`<URL?page=2&per_page=1>; rel="next", <URL?page=1&per_page=1>; rel="first", <URL?page=2&per_page=1>; rel="last"`},
		{"?per_page=1&page=2&search=a", []string{"main"},
			`<URL?page=1&per_page=1&search=a>; rel="prev", <URL?page=1&per_page=1&search=a>; rel="first", <URL?page=2&per_page=1&search=a>; rel="last"`},
		{"?page=9223372036854775807&per_page=100", []string{},
			`<URL?page=9223372036854775806&per_page=100>; rel="prev", <URL?page=1&per_page=100>; rel="first", <URL?page=1&per_page=100>; rel="last"`},
	} {
		resp, body := s.call(t, "GET", branches+tt.query, "", "")
		var got []struct{ Name string }
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%s: %v\n%s", tt.query, err, body)
		}
		var names []string
		for _, b := range got {
			names = append(names, b.Name)
		}
		if strings.Join(names, " ") != strings.Join(tt.names, " ") {
			t.Errorf("%s: %v, want %v", tt.query, names, tt.names)
		}
		if want := strings.ReplaceAll(tt.link, "URL", s.URL+branches); resp.Header.Get("Link") != want {
			t.Errorf("%s: Link\n%s, want\n%s", tt.query, resp.Header.Get("Link"), want)
		}
	}
	for _, bad := range []string{"?page=0", "?page=x", "?per_page=-1"} {
		if resp, body := s.call(t, "GET", branches+bad, "", ""); resp.StatusCode != 400 || !strings.Contains(body, "is invalid") {
			t.Errorf("%s: %s\n%s", bad, resp.Status, body)
		}
	}
	// The links' host is the one that the caller named.
	req := httptest.NewRequest("GET", "https://vcs.test:8443"+branches, nil)
	req.Header.Set("Private-Token", samplevcs.Token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	if got := w.Header().Get("Link"); !strings.HasPrefix(got, "<https://vcs.test:8443"+branches+"?") {
		t.Errorf("Link is %s", got)
	}
}

func TestArchive(t *testing.T) {
	s := start(t)
	head := branchHead(t, s, "main")
	for target, prefix := range map[string]string{
		"archive":                    "infra-main-" + head,
		"archive.tar.gz?sha=" + head: "infra-" + head + "-" + head,
		"archive.tar.gz?sha=feature%2Fmore-subnets": "infra-feature-more-subnets-" + branchHead(t, s, "feature%2Fmore-subnets"),
	} {
		resp, body := s.call(t, "GET", p+"/repository/"+target, "", "")
		if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Disposition"), prefix+".tar.gz") {
			t.Errorf("%s: %s, %v", target, resp.Status, resp.Header)
		}
		gz, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		var names []string
		for tr := tar.NewReader(gz); ; {
			h, err := tr.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", target, err)
			}
			names = append(names, h.Name)
		}
		if all := strings.Join(names, " "); !strings.Contains(all, prefix+"/.spacelift/config.yml") {
			t.Errorf("%s: it holds %s", target, all)
		}
	}
	resp, body := s.call(t, "GET", p+"/repository/archive.zip", "", "")
	if zr, err := zip.NewReader(strings.NewReader(body), int64(len(body))); err != nil || len(zr.File) < 4 {
		t.Errorf("archive.zip: %s, %v", resp.Status, err)
	}
	resp, body = s.call(t, "HEAD", p+"/repository/archive.zip", "", "")
	if resp.StatusCode != 200 || body != "" || resp.Header.Get("Content-Disposition") == "" {
		t.Errorf("HEAD archive.zip: %s, %d bytes, %v", resp.Status, len(body), resp.Header)
	}
	for target, want := range map[string]int{"archive.rar": 404, "archive?sha=nothing": 404, "archive?sha=--output%3Dx": 404} {
		if resp, _ := s.call(t, "GET", p+"/repository/"+target, "", ""); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", target, resp.Status, want)
		}
	}
}

func TestRequests(t *testing.T) {
	s := start(t)
	const target = "/api/v4/projects/platform%2finfra/repository/files/%2Espacelift%2Fconfig.yml/raw?ref=a%20b&x"
	s.call(t, "GET", target, "", "")
	got := s.Requests()
	if len(got) != 1 || got[0].Method != "GET" || got[0].URI != target || "http://"+got[0].Host != s.URL ||
		got[0].Header.Get("Private-Token") != samplevcs.Token {
		t.Fatalf("recorded %+v", got)
	}
	for range 1001 {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/last#1", nil))
	}
	if got := s.Requests(); len(got) != 1000 || got[0].URI != "/last#1" {
		t.Errorf("%d requests are remembered, the first of them %s", len(got), got[0].URI)
	}
}

var commitID = regexp.MustCompile(`"id":"([0-9a-f]{40})"`)

func branchHead(t *testing.T, s *server, name string) string {
	t.Helper()
	_, body := s.call(t, "GET", p+"/repository/branches/"+name, "", "")
	m := commitID.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("branch %s: %s", name, body)
	}
	return m[1]
}
