package e2e_test

import "strings"

const (
	jsonBody = "Content-Type: application/json\r\n"
	formBody = "Content-Type: application/x-www-form-urlencoded\r\n"
	gitBody  = "Content-Type: application/x-git-upload-pack-request\r\n"
)

// headerBypasses are those in headers: what must not reach the VCS stays behind
// while the allowed header of the same request goes on.
func headerBypasses() []bypass {
	const request = "GET /api/v4/user"
	const token = "Private-Token: secret-value\r\n"
	var with []passing
	for _, line := range []string{
		"Sudo: root", "SUDO: root", "sUdO:root", "Sudo: 1\r\nSudo: 2",
		"X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X_HTTP_METHOD_OVERRIDE: DELETE",
		"X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X-Original-URI: /admin", "X-Accel-Redirect: /admin", "X-Sendfile: /etc/passwd",
		"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "X-Forwarded-Server: evil.example",
		"X-Forwarded-Prefix: /admin", "X-Forwarded-User: root", "X-Remote-User: root", "X-Real-IP: 127.0.0.1", "X-Host: evil.example", "X-ProxyUser-Ip: 127.0.0.1",
		"Forwarded: for=127.0.0.1;host=evil.example", "Via: 1.1 evil.example", "True-Client-IP: 127.0.0.1", "Client-IP: 127.0.0.1",
		"Cookie: _gitlab_session=secret-value", "Cookie2: $Version=1",
		"Proxy-Connection: keep-alive", "Proxy-Authenticate: x", "Proxy: http://evil.example", "Keep-Alive: timeout=5",
		"TE: trailers", "Trailer: Sudo", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
		"Job-Token: secret-value", "X-Gitlab-Token: secret-value", "Private_Token: secret-value", "X-GitHub-OTP: 123456", "X-Atlassian-Token: no-check", "X-TFS-FedAuthRedirect: Suppress",
		"VCS-Agent-Error: x", "vcs-agent-name: x", "VCS-Gateway-Pool: other", "Expect: 100-continue", "Max-Forwards: 0", "Host-Override: evil.example",
		"Connection: sudo\r\nSudo: root", "Connection: x-request-id", "Connection: transfer-encoding",
	} {
		with = append(with, passing{request: request, header: line + "\r\n" + token, gets: token})
	}
	for _, connection := range []string{"private-token", "close, Private-Token", "PRIVATE-TOKEN,x"} {
		// By the standard such a header stays; nothing else goes with it.
		with = append(with, passing{request: request, header: "Connection: " + connection + "\r\nUser-Agent: u/1\r\n" + token, gets: "User-Agent: u/1\r\n"})
	}
	with = append(with,
		// A folded line is a part of the value before it, never one of its own.
		passing{request: request, header: "Accept: a\r\n Sudo: root\r\n" + token, gets: "Accept: a Sudo: root\r\n" + token},
		passing{request: request, header: "Accept: a\nSudo: root\r\n" + token, gets: "Accept: a\r\n" + token},
		passing{request: request, header: token + "Private-Token: 2\r\n", gets: token + "Private-Token: 2\r\n"},
	)
	return []bypass{
		{"headers", "gitlab-all", with, []refusal{
			{request: request, header: "Sudo : root\r\n", want: "400"},
			{request: request, header: "Su\tdo: root\r\n", want: "400"},
			{request: request, header: ": root\r\n", want: "400"},
			{request: request, header: "Accept: a\rSudo: root\r\n", want: "400"},
			{request: request, header: "Accept: a\x00b\r\n", want: "400"},
			{request: request, header: "Host: evil.example\r\n", want: "400"},
			{request: request, header: "Transfer-Encoding: gzip\r\n", want: "501"},
			// The method is the request's own, whatever a header says.
			{request: "DELETE /api/v4/projects/g%2Fr", header: "X-HTTP-Method-Override: GET\r\n", want: "method_not_allowed"},
			{request: "GET /api/v4/admin", header: "X-Original-URL: /api/v4/user\r\n", want: "no_rule"},
			{request: "GET /api/v4/admin", header: "X-Rewrite-URL: /api/v4/user\r\nX-Forwarded-Prefix: /\r\n", want: "no_rule"},
		}},
		{"headers of other vendors", "github-all", []passing{
			{request: "GET /api/v3/app", header: "Private-Token: secret-value\r\nX-GitHub-Api-Version: 2022-11-28\r\nX-GitHub-OTP: 1\r\n", gets: "X-Github-Api-Version: 2022-11-28\r\n"},
		}, []refusal{{request: "POST /api/v3/app", header: "X-HTTP-Method-Override: GET\r\n", want: "method_not_allowed"}}},
		{"headers on Azure", "azure-all", []passing{
			{request: "GET /Main/_apis/git/repositories", header: "X-HTTP-Method-Override: DELETE\r\nX-VSS-ForceMsaPassThrough: true\r\nX-TFS-FedAuthRedirect: Suppress\r\n", gets: "X-Tfs-Fedauthredirect: Suppress\r\n"},
		}, []refusal{{request: "DELETE /Main/x/_apis/git/repositories/stack/items", header: "X-HTTP-Method-Override: GET\r\n", want: "method_not_allowed"}}},
		{"headers on Gitea", "gitea-all", []passing{
			{request: "GET /api/v1/user", header: "Sudo: root\r\nX-Gitea-OTP: 1\r\nX-Forgejo-OTP: 1\r\nX-WEBAUTH-USER: root\r\nX-HTTP-Method-Override: DELETE\r\nRange: bytes=0-1\r\n", gets: "Range: bytes=0-1\r\n"},
		}, []refusal{{request: "GET /api/v1/admin/users", header: "X-Original-URL: /api/v1/user\r\n", want: "no_rule"}}},
		{"headers on Bitbucket", "bitbucket-all", []passing{
			{request: "GET /rest/api/1.0/repos", header: "X-Atlassian-Token: no-check\r\nX-AUSERNAME: admin\r\nX-HTTP-Method-Override: POST\r\nAccept: a/b\r\n", gets: "Accept: a/b\r\n"},
		}, []refusal{{request: "POST /rest/api/1.0/repos", header: "X-HTTP-Method-Override: GET\r\n", want: "method_not_allowed"}}},
	}
}

// parameterBypasses are those in the query.
func parameterBypasses() []bypass {
	const P = "/api/v4/projects/g%2Fr"
	return []bypass{
		{"who asks", "gitlab-all", []passing{{request: "GET " + P + "?statistics=true&license=true"}}, []refusal{
			{request: "GET " + P + "?sudo=root", want: "query_not_allowed"},
			{request: "GET " + P + "?sudo", want: "query_not_allowed"},
			{request: "GET " + P + "?SUDO=root", want: "query_not_allowed"},
			{request: "GET " + P + "?%73udo=root", want: "query_not_allowed"},
			{request: "GET " + P + "?sudo[]=root", want: "query_not_allowed"},
			{request: "GET " + P + "?sudo%5B%5D=root", want: "query_not_allowed"},
			{request: "GET " + P + "?+sudo=root", want: "query_not_allowed"},
			{request: "GET " + P + "?statistics=true&sudo=root", want: "query_not_allowed"},
			{request: "GET " + P + "?statistics=true%26sudo=root&sudo=1", want: "query_not_allowed"},
			{request: "GET " + P + "?private_token=secret-value", want: "query_not_allowed"},
			{request: "GET " + P + "?access_token=secret-value", want: "query_not_allowed"},
			{request: "GET " + P + "?job_token=secret-value", want: "query_not_allowed"},
			{request: "GET " + P + "?private_token", want: "query_not_allowed"},
			{request: "GET " + P + "?_method=DELETE", want: "query_not_allowed"},
			{request: "GET " + P + "?_method", want: "query_not_allowed"},
		}},
		{"a key twice", "gitlab-all", []passing{
			{request: "GET " + P + "/merge_requests?state=opened&labels%5B%5D=a&labels%5B%5D=b"},
			{request: "GET " + P + "/merge_requests?state=opened&labels[]=a", reaches: "GET " + P + "/merge_requests?state=opened&labels%5B%5D=a"},
		}, []refusal{
			{request: "GET " + P + "/merge_requests?state=opened&state=all", want: "query_not_allowed"},
			{request: "GET " + P + "/merge_requests?state=opened&st%61te=all", want: "query_not_allowed"},
			{request: "GET " + P + "/merge_requests?state&state=all", want: "query_not_allowed"},
			{request: "GET " + P + "/merge_requests?state=opened&State=all", want: "query_not_allowed"},
			{request: "GET " + P + "/merge_requests?state[]=opened", want: "query_not_allowed"},
		}},
		{"queries that read two ways", "gitlab-all", []passing{
			{request: "GET /api/v4/projects?search=a%3Bsudo%3Droot"},
			{request: "GET /api/v4/projects?search=a%26sudo%3Droot"},
			{request: "GET /api/v4/projects?search=a?b", reaches: "GET /api/v4/projects?search=a%3Fb"},
			{request: "GET /api/v4/projects?search=a+b%20c", reaches: "GET /api/v4/projects?search=a+b+c"},
			{request: "GET /api/v4/projects?search=//evil.example/../x", reaches: "GET /api/v4/projects?search=%2F%2Fevil.example%2F..%2Fx"},
		}, []refusal{
			{request: "GET /api/v4/projects?search=a;sudo=root", want: "bad_query"},
			{request: "GET /api/v4/projects?search=%", want: "bad_query"},
			{request: "GET /api/v4/projects?search=%zz", want: "bad_query"},
			{request: "GET /api/v4/projects?search=a&&page=1", want: "bad_query"},
			{request: "GET /api/v4/projects?=x", want: "bad_query"},
			{request: "GET /api/v4/projects?search=a&", want: "bad_query"},
			{request: "GET /api/v4/projects?&search=a", want: "bad_query"},
			{request: "GET /api/v4/projects?search=%00", want: "bad_query"},
			{request: "GET /api/v4/projects?search=a%0D%0ASudo:%20root", want: "bad_query"},
			{request: "GET /api/v4/projects?search=%ff", want: "bad_query"},
			{request: "GET /api/v4/projects?se%0Aarch=x", want: "bad_query"},
			{request: "GET /api/v4/projects??search=x", want: "query_not_allowed"},
			{request: "GET /api/v4/projects?search=1?sudo=root&sudo=1", want: "query_not_allowed"},
			{request: "GET /api/v4/projects?search=\t", want: "400"},
		}},
		{"tokens on GitHub", "github-all", []passing{{request: "GET /codeload/acme/infra/legacy.tar.gz/main?token=secret-value"}}, []refusal{
			{request: "GET /api/v3/repos/acme/infra/pulls/1?token=secret-value", want: "query_not_allowed"},
			{request: "GET /api/v3/repos/acme/infra/pulls/1?access_token=secret-value", want: "query_not_allowed"},
			{request: "GET /codeload/acme/infra/legacy.tar.gz/main?token=secret-value&token=2", want: "query_not_allowed"},
			{request: "GET /api/v3/app?client_secret=secret-value", want: "query_not_allowed"},
		}},
		{"tokens on Gitea", "gitea-all", []passing{{request: "GET /api/v1/repos/acme/infra/pulls?state=open&labels=1&labels=2"}}, []refusal{
			{request: "GET /api/v1/repos/acme/infra/pulls?sudo=root", want: "query_not_allowed"},
			{request: "GET /api/v1/repos/acme/infra/pulls?token=secret-value", want: "query_not_allowed"},
			{request: "GET /api/v1/repos/acme/infra/pulls?access_token=secret-value", want: "query_not_allowed"},
			{request: "GET /api/v1/repos/acme/infra/pulls?state=open&state=all", want: "query_not_allowed"},
		}},
		{"parameters on Azure", "azure-all", []passing{{request: "GET /Main/_apis/git/repositories?api-version=7.1&includeLinks=true"}}, []refusal{
			{request: "GET /Main/_apis/git/repositories?api-version=7.1&api-version=5.0", want: "query_not_allowed"},
			{request: "GET /Main/_apis/git/repositories?API-Version=7.1", want: "query_not_allowed"},
			{request: "GET /Main/_apis/git/repositories?X-HTTP-Method-Override=DELETE", want: "query_not_allowed"},
		}},
		{"parameters on Bitbucket", "bitbucket-all", []passing{{request: "GET /rest/api/1.0/repos?name=stack&limit=5"}}, []refusal{
			{request: "GET /rest/api/1.0/repos?os_username=admin", want: "query_not_allowed"},
			{request: "GET /rest/api/1.0/repos?_method=DELETE", want: "query_not_allowed"},
			{request: "GET /rest/api/1.0/repos?name=a&name=b", want: "query_not_allowed"},
		}},
	}
}

// bodyBypasses are those in bodies, which GitLab reads like a query.
func bodyBypasses() []bypass {
	const notes = "POST /api/v4/projects/g%2Fr/merge_requests/5/notes"
	const multi = "Content-Type: multipart/form-data; boundary=b\r\n"
	part := func(header, value string) string {
		return "--b\r\nContent-Disposition: form-data; " + header + "\r\n\r\n" + value + "\r\n"
	}
	const end = "--b--\r\n"
	const graphql = "POST /api/graphql"
	return []bypass{
		{"JSON", "gitlab-all", []passing{
			{request: notes, header: jsonBody, body: `{"body":"plan: sudo=root"}`, gets: jsonBody},
			{request: notes, header: "Content-Type: application/json; charset=UTF-8\r\n", body: `{"body":"é"}`, gets: jsonBody},
		}, []refusal{
			{request: notes, header: jsonBody, body: `{"body":"x","sudo":"root"}`, want: "field_not_allowed"},
			{request: notes, header: jsonBody, body: `{"body":"x","SUDO":"root"}`, want: "field_not_allowed"},
			{request: notes, header: jsonBody, body: `{"body":"x","\u0073udo":"root"}`, want: "field_not_allowed"},
			{request: notes, header: jsonBody, body: `{"body":"x","private_token":"secret-value"}`, want: "field_not_allowed"},
			{request: notes, header: jsonBody, body: `{"body":"x","access_token":"secret-value"}`, want: "field_not_allowed"},
			{request: notes, header: jsonBody, body: `{"body":"x","job_token":"secret-value"}`, want: "field_not_allowed"},
			{request: notes, header: jsonBody, body: `{"body":"x","_method":"DELETE"}`, want: "field_not_allowed"},
			{request: notes, header: jsonBody, body: `{"body":"x","body":"y"}`, want: "bad_body"},
			{request: notes, header: jsonBody, body: `{"body":"x","b\u006fdy":"y"}`, want: "bad_body"},
			{request: notes, header: jsonBody, body: `{"body":"x"}{"sudo":"root"}`, want: "bad_body"},
			{request: notes, header: jsonBody, body: `[{"sudo":"root"}]`, want: "bad_body"},
			{request: notes, header: jsonBody, body: "\xef\xbb\xbf" + `{"body":"x"}`, want: "bad_body"},
			{request: notes, header: jsonBody, body: `{"body":"x",/*"*/"sudo":"root"/*"*/}`, want: "bad_body"},
			{request: notes, header: jsonBody, body: "sudo=root&body=x", want: "bad_body"},
			{request: notes, header: jsonBody, body: "{\"body\":\"\xff\"}", want: "bad_body"},
		}},
		{"forms", "gitlab-all", []passing{
			{request: notes, header: formBody, body: "body=a+b%26sudo%3Droot", gets: formBody},
			{request: notes, header: formBody, body: "b%6Fdy=x", gets: formBody, getBody: "body=x"},
		}, []refusal{
			{request: notes, header: formBody, body: "body=x&sudo=root", want: "field_not_allowed"},
			{request: notes, header: formBody, body: "body=x&%73udo=root", want: "field_not_allowed"},
			{request: notes, header: formBody, body: "body=x&sudo[]=root", want: "field_not_allowed"},
			{request: notes, header: formBody, body: "body=x&private_token=secret-value", want: "field_not_allowed"},
			{request: notes, header: formBody, body: "body=x&access_token=secret-value", want: "field_not_allowed"},
			{request: notes, header: formBody, body: "body=x&_method=DELETE", want: "field_not_allowed"},
			{request: notes, header: formBody, body: "body=x;sudo=root", want: "bad_body"},
			{request: notes, header: formBody, body: "body=x&body=y", want: "bad_body"},
			{request: notes, header: formBody, body: "body=%zz", want: "bad_body"},
			{request: notes, header: formBody, body: `{"sudo":"root"}`, want: "field_not_allowed"},
		}},
		{"multipart", "gitlab-all", []passing{
			{request: notes, header: multi, body: part(`name="body"`, "plan") + end, gets: multi},
			{request: notes, header: multi, body: "preamble\r\n" + part(`name="body"`, "plan") + end + "sudo=root", gets: multi, getBody: part(`name="body"`, "plan") + end},
		}, []refusal{
			{request: notes, header: multi, body: part(`name="sudo"`, "root") + end, want: "field_not_allowed"},
			{request: notes, header: multi, body: part(`name="body"`, "x") + part(`name="sudo"`, "root") + end, want: "field_not_allowed"},
			{request: notes, header: multi, body: part(`name="_method"`, "DELETE") + end, want: "field_not_allowed"},
			{request: notes, header: multi, body: part(`name="private_token"`, "secret-value") + end, want: "field_not_allowed"},
			{request: notes, header: multi, body: part(`name="body"; filename="x"`, "x") + end, want: "bad_body"},
			{request: notes, header: multi, body: part(`name="body"`, "x") + part(`name="body"`, "y") + end, want: "bad_body"},
			{request: notes, header: multi, body: part(`name="body"`, "x"), want: "bad_body"},
			{request: notes, header: "Content-Type: multipart/form-data; boundary=b; boundary=c\r\n", body: part(`name="body"`, "x") + end, want: "bad_body"},
			{request: notes, header: "Content-Type: multipart/form-data\r\n", body: part(`name="body"`, "x") + end, want: "bad_body"},
		}},
		{"types of bodies", "gitlab-all", []passing{
			{request: notes, header: jsonBody + "Content-Encoding: identity\r\n", body: `{"body":"x"}`, gets: jsonBody + "Content-Encoding: identity\r\n"},
			{request: notes + "?body=x", gets: "Content-Length: 0\r\n"},
			{request: "DELETE /api/v4/projects/g%2Fr/environments/1"},
		}, []refusal{
			{request: notes, body: "sudo=root", want: "bad_body"},
			{request: notes, header: "Content-Type: text/plain\r\n", body: `{"body":"x"}`, want: "bad_body"},
			{request: notes, header: "Content-Type: application/xml\r\n", body: "<sudo>root</sudo>", want: "bad_body"},
			{request: notes, header: "Content-Type: application/json, application/x-www-form-urlencoded\r\n", body: `{"body":"x"}`, want: "bad_body"},
			{request: notes, header: jsonBody + formBody, body: "body=x&sudo=root", want: "bad_body"},
			{request: notes, header: "Content-Type: application/json; charset=utf-7\r\n", body: `{"body":"x"}`, want: "bad_body"},
			{request: notes, header: jsonBody + "Content-Encoding: gzip\r\n", body: "\x1f\x8b", want: "bad_body"},
			{request: notes, header: jsonBody + "Content-Encoding: identity\r\nContent-Encoding: deflate\r\n", body: "x", want: "bad_body"},
			{request: notes, header: jsonBody, body: `{"body":"` + strings.Repeat("a", 1<<20) + `"}`, want: "body_too_large"},
			{request: notes + "?sudo=root", header: jsonBody, body: `{"body":"x"}`, want: "query_not_allowed"},
			{request: "GET /api/v4/user", header: formBody, body: "sudo=root", want: "body_not_allowed"},
			{request: "GET /api/v4/user", header: jsonBody, body: `{"sudo":"root"}`, want: "body_not_allowed"},
			{request: "DELETE /api/v4/projects/g%2Fr/environments/1", header: formBody, body: "sudo=root", want: "body_not_allowed"},
		}},
		// git's own protocol streams past unread, as nothing else.
		{"a form to git", "gitlab-all", []passing{
			{request: "POST /g/r.git/git-upload-pack", header: formBody, body: "sudo=root", gets: gitBody},
			{request: "POST /g/r.git/git-upload-pack", header: gitBody + "Content-Encoding: gzip\r\nGit-Protocol: version=2\r\n", body: "\x1f\x8b", gets: gitBody + "Content-Encoding: gzip\r\nGit-Protocol: version=2\r\n"},
		}, []refusal{{request: "POST /g/r.git/git-upload-pack?sudo=root", header: gitBody, body: "0000", want: "query_not_allowed"}}},
		{"GraphQL", "github-all", []passing{
			{request: graphql, header: jsonBody, body: `{"query":"{viewer{login}}"}`, gets: jsonBody, getBody: `{"query":"query {\nviewer {\nlogin\n}\n}\n"}`},
		}, []refusal{
			{request: graphql, header: jsonBody, body: `{"query":"mutation{x}"}`, want: "not_a_query"},
			{request: graphql, header: jsonBody, body: `{"query":"subscription{x}"}`, want: "not_a_query"},
			{request: graphql, header: jsonBody, body: `{"query":"query a{x} mutation b{y}","operationName":"a"}`, want: "not_a_query"},
			{request: graphql, header: jsonBody, body: `{"query":"\u006dutation{x}"}`, want: "not_a_query"},
			{request: graphql, header: jsonBody, body: `{"query":"mutation{x}","QUERY":"{viewer{login}}"}`, want: "field_not_allowed"},
			{request: graphql, header: jsonBody, body: `{"query":"{viewer{login}}","query":"mutation{x}"}`, want: "bad_body"},
			{request: graphql, header: jsonBody, body: `[{"query":"mutation{x}"}]`, want: "bad_body"},
			{request: graphql, header: "Content-Type: application/graphql\r\n", body: `mutation{x}`, want: "bad_body"},
			{request: graphql, header: formBody, body: `query=mutation{x}`, want: "bad_body"},
			{request: graphql, header: jsonBody + "Content-Encoding: gzip\r\n", body: "\x1f\x8b", want: "bad_body"},
			{request: graphql + "?query=mutation{x}", header: jsonBody, body: `{"query":"{viewer{login}}"}`, want: "query_not_allowed"},
			{request: "GET /api/graphql?query={viewer{login}}", want: "method_not_allowed"},
		}},
		{"bodies on Gitea", "gitea-all", []passing{
			{request: "POST /api/v1/repos/acme/infra/issues/1/comments", header: jsonBody, body: `{"body":"plan"}`, gets: jsonBody},
		}, []refusal{
			{request: "POST /api/v1/repos/acme/infra/issues/1/comments", header: formBody, body: "body=plan", want: "bad_body"},
			{request: "POST /api/v1/repos/acme/infra/issues/1/comments", header: formBody, body: "sudo=root", want: "bad_body"},
			{request: "POST /api/v1/repos/acme/infra/issues/1/comments", header: jsonBody, body: `{"body":"plan","sudo":"root"}`, want: "field_not_allowed"},
			{request: "POST /api/v1/repos/acme/infra/issues/1/comments", header: jsonBody, body: `{"body":"plan","Body":"x"}`, want: "field_not_allowed"},
		}},
		{"bodies on Azure", "azure-all", []passing{
			{request: "POST /Main/p/_apis/git/repositories/r/commits/0123abc/statuses", header: jsonBody, body: `{"state":"succeeded"}`, gets: jsonBody},
		}, []refusal{
			{request: "POST /Main/p/_apis/git/repositories/r/commits/0123abc/statuses", header: jsonBody, body: `{"State":"succeeded"}`, want: "field_not_allowed"},
			{request: "POST /Main/p/_apis/git/repositories/r/commits/0123abc/statuses", header: jsonBody, body: `{"state":"failed","state":"succeeded"}`, want: "bad_body"},
			{request: "POST /Main/p/_apis/git/repositories/r/commits/0123abc/statuses", header: "Content-Type: application/json-patch+json\r\n", body: `[]`, want: "bad_body"},
		}},
		{"bodies on Bitbucket", "bitbucket-all", []passing{
			{request: "POST /rest/api/1.0/projects/INF/repos/stack/pull-requests/1/comments", header: jsonBody, body: `{"text":"plan"}`, gets: jsonBody},
		}, []refusal{
			{request: "POST /rest/api/1.0/projects/INF/repos/stack/pull-requests/1/comments", header: jsonBody, body: `{"text":"plan","author":{"name":"admin"}}`, want: "field_not_allowed"},
			{request: "POST /rest/api/1.0/projects/INF/repos/stack/pull-requests/1/comments", header: formBody, body: "text=plan", want: "bad_body"},
		}},
	}
}
