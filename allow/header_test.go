package allow_test

import (
	"net/http"
	"reflect"
	"testing"
)

func TestHeader(t *testing.T) {
	p := everything(t, "gitlab", "")
	passes := http.Header{
		"Accept":              {"application/json", "text/plain"},
		"Accept-Encoding":     {"gzip"},
		"Authorization":       {"Bearer x"},
		"Content-Encoding":    {"gzip"},
		"Content-Type":        {"application/json"},
		"Git-Protocol":        {"version=2"},
		"If-Modified-Since":   {"Thu, 01 Jan 1970 00:00:00 GMT"},
		"If-None-Match":       {`"a"`, `"b"`},
		"Private-Token":       {"x"},
		"Range":               {"bytes=0-1"},
		"Traceparent":         {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"Tracestate":          {"a=b", "c=d"},
		"User-Agent":          {"x"},
		"X-Request-Id":        {"x"},
		"If-Unmodified-Since": {"x"},
	}
	in := passes.Clone()
	for _, name := range []string{
		"Sudo", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Real-IP", "Forwarded", "Via",
		"Host", "Cookie", "Content-Length", "Expect", "Job-Token", "Deploy-Token", "Private_Token", "X-Accel-Redirect",
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authorization", "Proxy-Authenticate", "VCS-Gateway-Key", "VCS-Gateway-Pool", "VCS-Agent-Name", "VCS-Agent-Error", "X-Github-Api-Version",
	} {
		in.Set(name, "x")
	}
	if got := p.Header(in); !reflect.DeepEqual(got, passes) {
		t.Errorf("headers:\n got %v\nwant %v", got, passes)
	}
}

// TestHeaderSpelling: whatever letter case a map has, a name is what its
// canonical form says.
func TestHeaderSpelling(t *testing.T) {
	p := everything(t, "gitlab", "")
	got := p.Header(http.Header{"private-token": {"a"}, "PRIVATE-TOKEN": {"b"}, "sudo": {"root"}})
	if len(got) != 1 || len(got["Private-Token"]) != 2 {
		t.Errorf("headers %v", got)
	}
}

func TestHeaderConnectionNamed(t *testing.T) {
	p := everything(t, "gitlab", "")
	in := http.Header{
		"Connection":    {"close, private-token", "ACCEPT"},
		"Private-Token": {"x"}, "Accept": {"x"}, "Authorization": {"x"},
	}
	if got := p.Header(in); !reflect.DeepEqual(got, http.Header{"Authorization": {"x"}}) {
		t.Errorf("headers %v", got)
	}
	delete(in, "Connection")
	if got := p.Header(in); len(got) != 3 {
		t.Errorf("headers without Connection %v", got)
	}
}

func TestHeaderPerVendor(t *testing.T) {
	in := http.Header{"Private-Token": {"x"}, "X-Github-Api-Version": {"2022-11-28"}, "Authorization": {"x"}}
	for vendor, want := range map[string]http.Header{
		"gitlab":               {"Private-Token": {"x"}, "Authorization": {"x"}},
		"github_enterprise":    {"X-Github-Api-Version": {"2022-11-28"}, "Authorization": {"x"}},
		"bitbucket_datacenter": {"Authorization": {"x"}},
	} {
		if got := everything(t, vendor, "").Header(in); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", vendor, got, want)
		}
	}
}

// TestHeaderCopies: what goes to the VCS shares nothing with what came.
func TestHeaderCopies(t *testing.T) {
	in := http.Header{"Accept": {"a"}}
	out := everything(t, "gitlab", "").Header(in)
	out["Accept"][0] = "b"
	if in.Get("Accept") != "a" {
		t.Error("the copy shares its values with the original")
	}
}
