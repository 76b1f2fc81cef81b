package e2e_test

import "strings"

// projectBypasses are those around a pattern of allowed projects: it must match
// whole, in the request's letter case, and wherever a call names a project.
func projectBypasses() []bypass {
	const R = "/api/v3/repos/acme/infra"
	const B = "/rest/api/1.0/projects/INF/repos/stack"
	const A = "/Main/Acme%20Infra/_apis/git/repositories/stack"
	const G = "/api/v1/repos/acme/infra"
	const guid = "6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c"
	return []bypass{
		{"not the whole project", "gitlab-some", []passing{
			{request: "GET /api/v4/projects/acme%2Finfra"}, {request: "GET /api/v4/projects/acme%2Fsub%2Fx"},
			{request: "GET /api/v4/projects/%61cme%2finfra", reaches: "GET /api/v4/projects/acme%2Finfra"},
			{request: "GET /api/v4/user"}, {request: "GET /api/v4/projects"},
		}, []refusal{
			{request: "GET /api/v4/projects/evil-acme%2Finfra2", want: "project_not_allowed"},
			{request: "GET /api/v4/projects/evil-acme%2Finfra", want: "project_not_allowed"},
			{request: "GET /api/v4/projects/acme%2Finfra2", want: "project_not_allowed"},
			{request: "GET /api/v4/projects/acme%2Finfra%2Fsecret", want: "project_not_allowed"},
			{request: "GET /api/v4/projects/evil%2Facme%2Finfra", want: "project_not_allowed"},
			{request: "GET /api/v4/projects/ACME%2Finfra", want: "project_not_allowed"},
			{request: "GET /api/v4/projects/acme%2FInfra", want: "project_not_allowed"},
			{request: "GET /api/v4/projects/acme%2Fsub", want: "project_not_allowed"},
			{request: "GET /api/v4/projects/x%0Aacme%2Finfra", want: "bad_encoding"},
			{request: "GET /api/v4/projects/acme%2Fsub%2F..%2F..%2Fevil%2Fx", want: "ambiguous_path"},
			{request: "GET /api/v4/projects/acme%252Finfra", want: "ambiguous_path"},
			{request: "GET /api/v4/projects/acme/infra", want: "no_rule"},
			{request: "GET /api/v4/projects/acme%2Finfra%2Egit", want: "project_not_allowed"},
		}},
		// The agent asks the VCS whose number it is, with the request's credential.
		{"a project's number", "gitlab-some", []passing{
			{request: "GET /api/v4/projects/acme%2Finfra/merge_requests/18"},
			{request: "GET /api/v4/projects/17/merge_requests/18", asks: "/api/v4/projects/17"},
		}, []refusal{
			{request: "GET /api/v4/projects/18", want: "project_not_allowed", asks: "/api/v4/projects/18"},
			{request: "GET /api/v4/projects/%31%38", want: "project_not_allowed", asks: "/api/v4/projects/18"},
			{request: "GET /api/v4/projects/18/merge_requests/17", want: "project_not_allowed", asks: "/api/v4/projects/18"},
			{request: "POST /api/v4/projects/18/statuses/0123abc?state=success", want: "project_not_allowed", asks: "/api/v4/projects/18"},
			{request: "GET /api/v4/projects/19", want: "project_unknown", asks: "/api/v4/projects/19"}, // the VCS doesn't say
			{request: "GET /api/v4/projects/017/merge_requests/18", want: "project_unknown", asks: "/api/v4/projects/017"},
			{request: "GET /api/v4/projects/17%2Fx", want: "project_not_allowed"},
			{request: "DELETE /api/v4/projects/17", want: "method_not_allowed"},
		}},
		{"crossings on GitLab", "gitlab-some", []passing{
			{request: "GET /api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b"},
			{request: "GET /api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id=17", asks: "/api/v4/projects/17"},
			{request: "POST /api/v4/projects/acme%2Finfra/environments", header: jsonBody, body: `{"name":"production"}`, gets: jsonBody},
			{request: "GET /acme/infra.git/info/refs?service=git-upload-pack"},
			{request: "GET /acme/sub/x.git/info/refs?service=git-upload-pack"},
		}, []refusal{
			{request: "GET /api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id=18", want: "project_not_allowed", asks: "/api/v4/projects/18"},
			{request: "GET /api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id=evil%2Fx", want: "project_unknown"},
			{request: "GET /api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from%5Fproject_id=18", want: "project_not_allowed", asks: "/api/v4/projects/18"},
			{request: "GET /api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id", want: "project_unknown"},
			{request: "POST /api/v4/projects/acme%2Finfra/environments", header: jsonBody, body: `{"name":"production","cluster_agent_id":3}`, want: "project_unknown"},
			{request: "POST /api/v4/projects/acme%2Finfra/environments", header: formBody, body: "name=production&cluster_agent_id=3", want: "project_unknown"},
			{request: "GET /evil/infra.git/info/refs?service=git-upload-pack", want: "project_not_allowed"},
			{request: "GET /evil/acme/infra.git/info/refs?service=git-upload-pack", want: "project_not_allowed"},
			{request: "GET /acme/infra.git.git/info/refs?service=git-upload-pack", want: "project_not_allowed"},
			{request: "GET /acme/infra.wiki.git/info/refs?service=git-upload-pack", want: "project_not_allowed"},
			{request: "POST /acme/infra2.git/git-upload-pack", header: gitBody, body: "0000", want: "project_not_allowed"},
		}},
		{"projects on GitHub", "github-some", []passing{
			{request: "GET " + R + "/pulls/1"}, {request: "GET /repos/acme/other/pulls/1"}, {request: "GET /api/v3/app"},
			{request: "GET /_codeload/acme/infra/legacy.tar.gz/main"},
			{request: "GET /acme/infra/legacy.tar.gz/main", reaches: "GET codeload:/acme/infra/legacy.tar.gz/main"},
		}, []refusal{
			{request: "GET /api/v3/repos/evil-acme/infra2/pulls/1", want: "project_not_allowed"},
			{request: "GET /api/v3/repos/acme/infra2/pulls/1", want: "project_not_allowed"},
			{request: "GET /repos/Acme/infra/pulls/1", want: "project_not_allowed"},
			{request: "GET /api/v3/repos/acme%2Finfra/x/pulls/1", want: "ambiguous_path"},
			{request: "GET /_codeload/evil/infra/legacy.tar.gz/main", want: "project_not_allowed"},
			{request: "GET /evil/infra/legacy.tar.gz/main", want: "project_not_allowed"},
			{request: "GET /evil/infra.git/info/refs?service=git-upload-pack", want: "project_not_allowed"},
			{request: "GET /api/v3/repositories/17/pulls/1", want: "no_rule"},
			{request: "POST /api/graphql", header: jsonBody, body: `{"query":"{viewer{login}}"}`, want: "project_unknown"},
		}},
		{"crossings on GitHub", "github-some", []passing{
			{request: "GET " + R + "/compare/main...feature"},
			{request: "GET " + R + "/compare/main...acme:feature", reaches: "GET " + R + "/compare/main...acme%3Afeature"},
			{request: "GET " + R + "/compare/main...acme:other:feature", reaches: "GET " + R + "/compare/main...acme%3Aother%3Afeature"},
		}, []refusal{
			{request: "GET " + R + "/compare/main...evil:feature", want: "project_unknown"},
			{request: "GET " + R + "/compare/evil:main...feature", want: "project_unknown"},
			{request: "GET " + R + "/compare/main...evil%3Afeature", want: "project_unknown"},
			{request: "GET " + R + "/compare/main...evil:infra:feature", want: "project_not_allowed"},
			{request: "GET " + R + "/compare/main...acme:secret:feature", want: "project_not_allowed"},
			{request: "GET " + R + "/compare/main...evil%2Facme:infra", want: "no_rule"},
		}},
		{"projects on Bitbucket", "bitbucket-some", []passing{
			{request: "GET " + B}, {request: "GET /rest/api/latest/projects/~jo/repos/stack"}, {request: "GET /rest/api/latest/repos"},
			{request: "GET /scm/INF/stack.git/info/refs?service=git-upload-pack"},
			{request: "GET /projects/INF/repos/stack/raw/.spacelift/config.yml"},
		}, []refusal{
			{request: "GET /rest/api/1.0/projects/INF/repos/stack2", want: "project_not_allowed"},
			{request: "GET /rest/api/1.0/projects/XINF/repos/stack", want: "project_not_allowed"},
			{request: "GET /rest/api/1.0/projects/inf/repos/stack", want: "project_not_allowed"},
			{request: "GET /rest/api/1.0/projects/INF/repos/Stack", want: "project_not_allowed"},
			{request: "GET /rest/api/1.0/projects/~eve/repos/stack", want: "project_not_allowed"},
			{request: "GET /scm/inf/stack.git/info/refs?service=git-upload-pack", want: "project_not_allowed"},
			{request: "GET /projects/EVIL/repos/stack/raw/.spacelift/config.yml", want: "project_not_allowed"},
		}},
		{"crossings on Bitbucket", "bitbucket-some", []passing{
			{request: "GET " + B + "/compare/changes?from=a&to=b"},
			{request: "GET " + B + "/compare/changes?from=a&to=b&fromRepo=INF%2Fstack"},
			{request: "GET " + B + "/compare/commits?from=a&to=b&fromRepo=~jo/stack", reaches: "GET " + B + "/compare/commits?from=a&to=b&fromRepo=~jo%2Fstack"},
			{request: "POST " + B + "/pull-requests/1/comments", header: jsonBody, body: `{"text":"x","anchor":{"path":"a"}}`, gets: jsonBody},
		}, []refusal{
			{request: "GET " + B + "/compare/changes?from=a&to=b&fromRepo=EVIL%2Fstack", want: "project_not_allowed"},
			{request: "GET " + B + "/compare/changes?from=a&to=b&fromRepo=inf%2Fstack", want: "project_not_allowed"},
			{request: "GET " + B + "/compare/commits?from=a&to=b&fromRepo=17", want: "project_unknown"},
			{request: "GET " + B + "/compare/commits?from=a&to=b&fromRepo=", want: "project_unknown"},
			{request: "GET " + B + "/compare/commits?from=a&to=b&fromRepo=INF%2Fstack&fromRepo=EVIL%2Fx", want: "query_not_allowed"},
			{request: "GET " + B + "/compare/commits?from=a&to=b&fromrepo=EVIL%2Fx", want: "query_not_allowed"},
			{request: "POST " + B + "/pull-requests/1/comments", header: jsonBody, body: `{"text":"x","anchor":{"pullRequest":{"id":2}}}`, want: "project_unknown"},
		}},
		{"projects on Azure", "azure-some", []passing{
			{request: "GET " + A + "/pullRequests/7"}, {request: "GET /Main/_apis/git/repositories"},
			{request: "GET /Main/Acme%20Infra/_git/stack/info/refs?service=git-upload-pack"},
		}, []refusal{
			{request: "GET /Main/Acme%20Infra/_apis/git/repositories/stack2/pullRequests/7", want: "project_not_allowed"},
			{request: "GET /Main/Evil/_apis/git/repositories/stack/pullRequests/7", want: "project_not_allowed"},
			{request: "GET /Other/Acme%20Infra/_apis/git/repositories/stack/pullRequests/7", want: "project_not_allowed"},
			{request: "GET /main/Acme%20Infra/_apis/git/repositories/stack/pullRequests/7", want: "project_not_allowed"},
			{request: "GET /Main/ACME%20Infra/_apis/git/repositories/stack/pullRequests/7", want: "project_not_allowed"},
			{request: "GET /Main/Acme+Infra/_apis/git/repositories/stack/pullRequests/7", want: "no_rule"},
			{request: "GET /Main/Evil/_git/stack/info/refs?service=git-upload-pack", want: "project_not_allowed"},
		}},
		{"GUIDs on Azure", "azure-some", []passing{
			{request: "GET " + A + "/pullRequests?searchCriteria.status=active"},
		}, []refusal{
			{request: "GET /Main/Acme%20Infra/_apis/git/repositories/" + guid + "/pullRequests/7", want: "project_unknown"},
			{request: "GET /Main/" + guid + "/_apis/git/repositories/stack/pullRequests/7", want: "project_unknown"},
			{request: "GET /" + guid + "/Acme%20Infra/_apis/git/repositories/stack/pullRequests/7", want: "project_unknown"},
			{request: "GET /Main/" + strings.ToUpper(guid) + "/_apis/git/repositories/stack/pullRequests/7", want: "project_unknown"},
			{request: "GET /Main/" + strings.ReplaceAll(guid, "-", "") + "/_apis/git/repositories/stack/pullRequests/7", want: "project_unknown"},
			{request: "GET " + A + "/pullRequests?searchCriteria.sourceRepositoryId=" + guid, want: "project_unknown"},
			{request: "GET " + A + "/pullRequests?searchCriteria.repositoryId=" + guid, want: "project_unknown"},
			{request: "GET " + A + "/pullRequests/7/labels?projectId=" + guid, want: "project_unknown"},
			{request: "GET /Main/Acme%20Infra/_apis/policy/evaluations?artifactId=vstfs%3A%2F%2F%2FCodeReview%2FCodeReviewId%2F" + guid + "%2F7", want: "project_unknown"},
		}},
		{"projects on Gitea", "gitea-some", []passing{
			{request: "GET " + G + "/pulls/7"}, {request: "GET " + G + "/compare/main...feature"}, {request: "GET /api/v1/user/repos"},
			{request: "GET /acme/infra.git/info/refs?service=git-upload-pack"},
		}, []refusal{
			{request: "GET /api/v1/repos/evil-acme/infra2/pulls/7", want: "project_not_allowed"},
			{request: "GET /api/v1/repos/acme/infra2/pulls/7", want: "project_not_allowed"},
			{request: "GET /api/v1/repos/Acme/infra/pulls/7", want: "project_not_allowed"},
			{request: "GET /api/v1/repos/acme/Infra/pulls/7", want: "project_not_allowed"},
			{request: "GET " + G + "/compare/main...evil:feature", want: "no_rule"},
			{request: "GET " + G + "/compare/evil%2Finfra:main...feature", want: "no_rule"},
			{request: "GET /acme/infra.wiki.git/info/refs?service=git-upload-pack", want: "project_not_allowed"},
			{request: "GET /api/v1/repositories/17", want: "no_rule"},
			{request: "GET /evil/infra.git/info/refs?service=git-upload-pack", want: "project_not_allowed"},
		}},
	}
}
