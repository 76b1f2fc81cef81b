package allow_test

import (
	"strings"
	"testing"

	"vcsagent/allow"
)

// TestBypasses holds the ways in which other allowlists were walked around, each
// beside the nearest request that must pass.
func TestBypasses(t *testing.T) {
	const P = "/api/v4/projects/g%2Fr"
	const R = "/api/v3/repos/acme/infra"
	const B = "/rest/api/1.0/projects/K/repos/s"
	long := strings.Repeat("a", allow.MaxTargetBytes)
	for _, c := range []struct {
		name, vendor, allow string
		deny                []denied
	}{
		{"host changed by joining strings", "gitlab", "GET /api/v4/user", []denied{
			{"GET @10.0.0.5/x", allow.BadTarget}, {"GET .evil.example/x", allow.BadTarget}, {"GET :8443/x", allow.BadTarget},
			{"GET @10.0.0.5/api/v4/user", allow.BadTarget}, {"GET //evil.example/api/v4/user", allow.AmbiguousPath},
			{"GET //user:pw@evil.example/api/v4/user", allow.AmbiguousPath}, {"GET /@10.0.0.5/api/v4/user", allow.NoRule},
		}},
		{"not in origin form", "gitlab", "GET /api/v4/user", []denied{
			{"GET http://evil.example/api/v4/user", allow.BadTarget}, {"GET https://u:p@evil.example/api/v4/user", allow.BadTarget},
			{"CONNECT evil.example:443", allow.BadTarget}, {"OPTIONS *", allow.BadTarget}, {"GET ", allow.BadTarget},
			{"GET api/v4/user", allow.BadTarget}, {"GET /api/v4/user#x", allow.BadTarget}, {"GET ?x=/api/v4/user", allow.BadTarget},
			{"GET /api/v4/projects?search=a#b", allow.BadTarget},
		}},
		{"dot segments", "gitlab", "GET " + P + "/merge_requests/5", []denied{
			{"GET " + P + "/merge_requests/2/../5", allow.AmbiguousPath}, {"GET " + P + "/merge_requests/%2e%2e/5", allow.AmbiguousPath},
			{"GET " + P + "/merge_requests/..%2f5", allow.AmbiguousPath}, {"GET " + P + "/merge_requests/2%2F..%2F..%2F5", allow.AmbiguousPath},
			{"GET " + P + "/merge_requests/.%2E/5", allow.AmbiguousPath}, {"GET " + P + "/./merge_requests/5", allow.AmbiguousPath},
			{"GET " + P + "/%2E/merge_requests/5", allow.AmbiguousPath}, {"GET /../api/v4/user", allow.AmbiguousPath}, {"GET /api/v4/user/..", allow.AmbiguousPath},
			{"GET /api/v4/projects/g%2F..%2Fr", allow.AmbiguousPath}, {"GET /api/v4/projects/g%2F%2E%2E%2Fr", allow.AmbiguousPath},
			{"GET /api/v4/projects/g%2F.%2Fr", allow.AmbiguousPath}, {"GET " + P + "/..%20/x", allow.AmbiguousPath}, {"GET " + P + "/.../x", allow.AmbiguousPath},
			{"GET " + P + "/repository/branches/a%EF%B8%B0b", allow.AmbiguousPath}, {"GET " + P + "/repository/branches/a%E2%84%80b", allow.AmbiguousPath},
			{"GET " + P + "/repository/branches/%E2%92%88", allow.AmbiguousPath}, {"GET " + P + "/repository/branches/a%E2%88%96b", allow.AmbiguousPath},
			{"GET " + P + "/%EF%BC%8E%EF%BC%8E/x", allow.AmbiguousPath}, {"GET " + P + "/%e2%80%a5/x", allow.AmbiguousPath},
		}},
		{"empty segments", "gitlab", "GET " + P + "/merge_requests/5", []denied{
			{"GET " + P + "//merge_requests/5", allow.AmbiguousPath}, {"GET //api/v4/user", allow.AmbiguousPath}, {"GET " + P + "/merge_requests/5/", allow.AmbiguousPath},
			{"GET /api/v4/projects/g%2F%2Fr", allow.AmbiguousPath}, {"GET /api/v4/projects/%2Fg%2Fr", allow.AmbiguousPath}, {"GET /api/v4/projects/g%2Fr%2F", allow.AmbiguousPath},
		}},
		{"backslashes", "gitlab", "GET " + P + "/merge_requests/5", []denied{
			{`GET ` + P + `/merge_requests/2\..\..\5`, allow.AmbiguousPath}, {"GET " + P + "/merge_requests/2%5C..%5C..%5C5", allow.AmbiguousPath},
			{`GET \api\v4\user`, allow.BadTarget}, {`GET /api\v4/user`, allow.AmbiguousPath}, {`GET /api/v4/projects?search=\`, allow.AmbiguousPath},
			{"GET " + P + "/repository/branches/a%EF%BC%BCb", allow.AmbiguousPath},
		}},
		{"path parameters", "gitlab", "GET " + P + "/merge_requests/5", []denied{
			{"GET " + P + "/..;/5", allow.AmbiguousPath}, {"GET " + P + "/merge_requests;x=1/5", allow.AmbiguousPath}, {"GET " + P + "/merge_requests%3Bx=1/5", allow.AmbiguousPath},
			{"GET /api;jsessionid=1/v4/user", allow.AmbiguousPath},
		}},
		{"control characters", "gitlab", "GET " + P + "/merge_requests/5", []denied{
			{"GET " + P + "/merge_requests/5\t", allow.BadEncoding}, {"GET " + P + "/merge_requests/5\r\nSudo: root", allow.BadEncoding},
			{"GET " + P + "/merge_requests/5%00", allow.BadEncoding}, {"GET " + P + "/merge_requests/5%0A", allow.BadEncoding}, {"GET " + P + "/merge_requests/5%7F", allow.BadEncoding},
			{"GET " + P + "/repository/branches/a%E2%80%AEb", allow.BadEncoding}, {"GET " + P + "/repository/branches/a%C2%85b", allow.BadEncoding}, {"GET " + P + "/a b", allow.BadEncoding},
		}},
		{"encodings", "gitlab", "GET " + P + "/repository/branches/caf%C3%A9", []denied{
			{"GET " + P + "/repository/branches/caf\xc3\xa9", allow.BadEncoding}, {"GET " + P + "/repository/branches/%C3%28", allow.BadEncoding},
			{"GET " + P + "/repository/branches/%c0%ae%c0%ae", allow.BadEncoding}, {"GET " + P + "/repository/branches/%zz", allow.BadEncoding},
			{"GET " + P + "/repository/branches/100%", allow.BadEncoding}, {"GET " + P + "/repository/branches/%u002e%u002e", allow.BadEncoding},
			{"GET " + P + "/repository/branches/%252e%252e", allow.AmbiguousPath}, {"GET " + P + "/repository/branches/%25u002e%25u002f", allow.AmbiguousPath}, {"GET " + P + "/repository/branches/a%252Fb", allow.AmbiguousPath},
			{"GET /api/v4/projects/g%252Fr", allow.AmbiguousPath},
		}},
		{"out of a comparison", "github_enterprise", "GET " + R + "/compare/a...b", []denied{
			{"GET " + R + "/compare/a...b/../../hooks", allow.AmbiguousPath}, {"GET " + R + "/compare/a...b/%2e%2e/%2e%2e/hooks", allow.AmbiguousPath},
			{"GET " + R + "/compare/a...b/..%2F..%2Fhooks", allow.AmbiguousPath}, {`GET ` + R + `/compare/a...b\..\..\hooks`, allow.AmbiguousPath},
			{"GET " + R + "/compare/a...b%3F/hooks", allow.NoRule}, {"GET " + R + "/compare/a...b#/hooks", allow.BadTarget},
		}},
		{"end not anchored", "github_enterprise", "GET " + R + "/commits/0123abc", []denied{
			{"GET " + R + "/commits/0123abc/comments", allow.NoRule}, {"GET " + R + "/commits/0123abc%2Fcomments", allow.AmbiguousPath}, {"GET " + R + "/commits/0123abc%3Fx", allow.NoRule},
		}},
		{"dot not escaped", "bitbucket_datacenter", "GET /rest/api/1.0/repos", []denied{
			{"GET /rest/api/1x0/repos", allow.NoRule}, {"GET /rest/api/1.0x/repos", allow.NoRule}, {"GET /rest/api/1%2E0%2E/repos", allow.NoRule}, {"GET /projects/K/repos/s/raw/XspaceliftXconfigAyml", allow.NoRule},
		}},
		{"parameters that change who asks", "gitlab", "GET " + P + "?statistics=true", []denied{
			{"GET " + P + "?sudo=root", allow.QueryNotAllowed}, {"GET " + P + "?private_token=x", allow.QueryNotAllowed}, {"GET " + P + "?access_token=x", allow.QueryNotAllowed},
			{"GET " + P + "?job_token=x", allow.QueryNotAllowed}, {"GET " + P + "?_method=DELETE", allow.QueryNotAllowed}, {"GET " + P + "?statistics=true&%73udo=root", allow.QueryNotAllowed},
			{"GET " + P + "?sudo[]=root", allow.QueryNotAllowed}, {"GET " + P + "?sudo", allow.QueryNotAllowed}, {"GET " + P + "?+sudo=root", allow.QueryNotAllowed},
			{"GET " + P + "?statistics=true&statistics=false", allow.QueryNotAllowed}, {"GET " + P + "?Statistics=true", allow.QueryNotAllowed},
		}},
		{"queries that read two ways", "gitlab", "GET /api/v4/projects?search=a%3Bsudo%3Droot", []denied{
			{"GET /api/v4/projects?search=a;sudo=root", allow.BadQuery}, {"GET /api/v4/projects?search=%", allow.BadQuery}, {"GET /api/v4/projects?search=%zz", allow.BadQuery},
			{"GET /api/v4/projects?search=a&&page=1", allow.BadQuery}, {"GET /api/v4/projects?=x", allow.BadQuery}, {"GET /api/v4/projects?search=%00", allow.BadQuery},
			{"GET /api/v4/projects?search=%ff", allow.BadQuery}, {"GET /api/v4/projects?search%0A=x", allow.BadQuery}, {"GET /api/v4/projects?search=a%0D%0Ax", allow.BadQuery},
			{"GET /api/v4/projects?search=a&", allow.BadQuery}, {"GET /api/v4/projects?search=1?sudo=root&sudo=1", allow.QueryNotAllowed},
		}},
		{"encoded question mark", "gitlab", "GET " + P + "/merge_requests?state=opened", []denied{{"GET " + P + "/merge_requests%3Fstate=opened", allow.NoRule}}},
		{"git push", "gitlab", "POST /g/r.git/git-upload-pack", []denied{
			{"POST /g/r.git/git-receive-pack", allow.PushNotAllowed}, {"POST /g/r.git/git%2Dreceive-pack", allow.PushNotAllowed}, {"GET /g/r.git/info/refs?service=git-receive-pack", allow.PushNotAllowed},
			{"POST /g/r.git/git-upload-pack/../git-receive-pack", allow.AmbiguousPath}, {"GET /g/r.git/info/refs?service=git%2Dreceive-pack", allow.PushNotAllowed},
		}},
		{"revision expressions", "github_enterprise", "GET " + R + "/commits/feature-1%7Dx@2", []denied{
			{"GET " + R + "/commits/main%40%7Bu%7D", allow.NoRule}, {"GET " + R + "/commits/main~1", allow.NoRule}, {"GET " + R + "/commits/main%5E", allow.NoRule},
			{"GET " + R + "/commits/a:b", allow.NoRule}, {"GET " + R + "/commits/-x", allow.NoRule}, {"GET " + R + "/commits/a..b", allow.NoRule},
			{"GET " + R + "/commits/a%20b", allow.NoRule}, {"GET " + R + "/commits/a*", allow.NoRule}, {"GET " + R + "/commits/a[b", allow.NoRule},
			{"GET " + R + "/compare/main...o:a+b:x", allow.NoRule}, {"GET " + R + "/compare/main...o%2Fp:x", allow.NoRule}, {"GET " + R + "/compare/main...o:", allow.NoRule},
			{"GET " + R + "/compare/a%2F...b", allow.NoRule},
		}},
		{"a write beside a read", "bitbucket_datacenter", "GET " + B + "/pull-requests/1/merge", []denied{{"POST " + B + "/pull-requests/1/merge", allow.MethodNotAllowed}}},
		{"limits", "gitlab", "GET /api/v4/projects?search=" + long[:4000], []denied{
			{"GET /api/v4/projects?search=" + long, allow.TargetTooLong}, {"GET /" + long, allow.TargetTooLong}, {"GET /api/v4/" + long[:5000], allow.NoRule}, {"GET /api/v4/projects?" + long[:5000] + "=x", allow.QueryNotAllowed}, {"GET " + strings.Repeat("/a", allow.MaxSegments+1), allow.TargetTooLong},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := everything(t, c.vendor, "")
			checkAllowedOnly(t, p, c.allow)
			for _, d := range c.deny {
				checkDenied(t, p, d)
			}
		})
	}
}

func TestHintsForDangerousParameters(t *testing.T) {
	p := everything(t, "gitlab", "")
	for key, hint := range map[string]string{
		"private_token": "send the token in a header", "access_token": "Authorization header", "job_token": "not accepted",
		"[sudo]": "another user", "]sudo": "another user", "token": "in a header", "os_password": "Authorization header", "sudo": "another user", "SUDO": "another user", "_method": "send the method itself",
	} {
		if d := p.Check("GET", "/api/v4/user?"+key+"=x"); !strings.Contains(d.Detail, hint) {
			t.Errorf("%s: %s", key, d.Detail)
		}
	}
}

// TestPatternsMatchWhole holds patterns that a search would let through.
func TestPatternsMatchWhole(t *testing.T) {
	for _, c := range []struct{ pattern, project, reason string }{
		{"acme/infra", "acme%2Finfra", ""},
		{"acme/infra", "evil-acme%2Finfra2", "project_not_allowed"},
		{"acme/infra|x/y", "x%2Fy", ""},
		{"acme/infra|x/y", "x%2Fyz", "project_not_allowed"},
		{"^acme/infra$", "acme%2Finfra", ""},
		{"(?m)^acme/infra$", "acme%2Finfra%0Aevil", "bad_encoding"},
		{"acme/[^/]+", "acme%2Fsub%2Fx", "project_not_allowed"},
		{"(?i)acme/infra", "ACME%2Finfra", ""},
		{".*", "any%2Fthing", ""},
		{".*", "42", ""},
		{".+", "42", "project_unknown"},
	} {
		d := everything(t, "gitlab", c.pattern).Check("GET", "/api/v4/projects/"+c.project)
		if string(d.Reason) != c.reason {
			t.Errorf("%s on %s: %q (%s), want %q", c.pattern, c.project, d.Reason, d.Detail, c.reason)
		}
	}
}
