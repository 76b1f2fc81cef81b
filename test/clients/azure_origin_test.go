package clients_test

import (
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"
	azuredevops "github.com/microsoft/azure-devops-go-api/azuredevops/v7"
)

// serveAzure answers what the library asks before its first call: which calls
// there are, each with its id and path, and which areas are served elsewhere. An
// Azure DevOps Server has none of those and answers with an empty list.
func serveAzure(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Method == http.MethodOptions && strings.HasSuffix(r.URL.Path, "/_apis"):
		io.WriteString(w, azureList(azureLocations()))
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/_apis/ResourceAreas"):
		io.WriteString(w, azureList([]azuredevops.ResourceAreaInfo{}))
	default:
		return false
	}
	return true
}

// azureRoutes are the path templates, by id, of the calls that the tests make.
var azureRoutes = []struct{ id, area, resource, route string }{
	{"e81700f7-3be2-46de-8624-2eb35882fcaa", "Location", "ResourceAreas", "_apis/{resource}/{areaId}"},

	{"225f7195-f9c7-4d14-ab28-a83f7ff77e1f", "git", "repositories", "{project}/_apis/{area}/{resource}/{repositoryId}"},
	{"615588d5-c0c7-4b88-88f8-e625306446e8", "git", "commits", "{project}/_apis/{area}/repositories/{repositoryId}/diffs/{resource}"},
	{"d5b216de-d8d5-4d32-ae76-51df755b16d3", "git", "branches", "{project}/_apis/{area}/repositories/{repositoryId}/stats/{resource}"},
	{"fb93c0db-47ed-4a31-8c20-47552878fb44", "git", "items", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{*path}"},
	{"c2570c3b-5b3f-41b8-98bf-5407bfde8d58", "git", "commits", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{commitId}"},
	{"428dd4fb-fda5-4722-af02-9313b80305da", "git", "statuses", "{project}/_apis/{area}/repositories/{repositoryId}/commits/{commitId}/{resource}"},
	{"9946fd70-0d40-406e-b686-b4744cbbcc37", "git", "pullRequests", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pullRequestId}"},
	{"f22387e3-984e-4c52-9c6d-fbb8f14c812d", "git", "labels", "{project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{labelIdOrName}"},
	{"ab6e2e5d-a0b7-4153-b64a-a4efe0d49449", "git", "threads", "{project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{threadId}"},
	{"965a3ec7-5ed8-455a-bdcb-835a5ea7fe7b", "git", "comments", "{project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/threads/{threadId}/{resource}/{commentId}"},
	{"c23ddff5-229c-4d04-a80b-0fdce9f360c8", "policy", "evaluations", "{project}/_apis/{area}/{resource}/{evaluationId}"},

	{"ea98d07b-3c87-4971-8ede-a613694ffb55", "git", "pushes", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pushId}"},
	{"2d874a60-a811-4f62-9c9f-963a6ea0a55b", "git", "refs", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{*filter}"},
	{"5e8a8081-3851-4626-b677-9891cc04102e", "git", "annotatedTags", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{objectId}"},
	{"033bad68-9a14-43d1-90e0-59cb8856fef6", "git", "cherryPicks", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{cherryPickId}"},
	{"01828ddc-3600-4a41-8633-99b3a73a0eb3", "git", "importRequests", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{importRequestId}"},
	{"7b28e929-2c99-405d-9c5c-6167a06e6816", "git", "blobs", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{sha1}"},
	{"6400dfb2-0bcb-462b-b992-5a57f8f1416c", "git", "commitsBatch", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}"},
	{"01a46dea-7d46-4d40-bc84-319e7c260d99", "git", "pullRequests", "{project}/_apis/{area}/{resource}/{pullRequestId}"},
	{"a5d28130-9cd2-40fa-9f08-902e7daa9efb", "git", "pullRequests", "{project}/_apis/{area}/{resource}"},
	{"b5f6bb4f-8d1e-4d79-8d11-4c9172c99c35", "git", "statuses", "{project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{statusId}"},
	{"4b6702c7-aa35-4b89-9c96-b9abf6d3e540", "git", "reviewers", "{project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{reviewerId}"},
	{"603fe2ac-9723-48b9-88ad-09305aa6c6e1", "core", "projects", "_apis/{resource}/{*projectId}"},
	{"fc50d02a-849f-41fb-8af1-0a5216103269", "hooks", "Subscriptions", "_apis/{area}/{resource}/{subscriptionId}"},
	{"f5b09dd5-9d54-45a1-8b5a-1c8287d634cc", "distributedtask", "variablegroups", "{project}/_apis/{area}/{resource}/{groupId}"},
	{"ef5b7057-ffc3-4c77-bbad-c10b4a4abcc7", "distributedtask", "variablegroups", "_apis/{area}/{resource}/{groupId}"},
	{"e298ef32-5878-4cab-993c-043836571f42", "distributedtask", "agents", "_apis/{area}/pools/{poolId}/{resource}/{agentId}"},
	{"0cd358e1-9217-4d94-8269-1c1ee6f93dcf", "build", "Builds", "{project}/_apis/{area}/{resource}/{buildId}"},
	{"e85f1c62-adfc-4b74-b618-11a150fb195e", "serviceendpoint", "endpoints", "{project}/_apis/{area}/{resource}/{endpointId}"},
	{"005e26ec-6b77-4e4f-a986-b3827bf241f5", "Graph", "Users", "_apis/{area}/{resource}/{userDescriptor}"},
	{"ac08c8ff-4323-4b08-af90-bcd018d380ce", "Security", "AccessControlEntries", "_apis/{resource}/{securityNamespaceId}"},
}

func azureLocations() []azuredevops.ApiResourceLocation {
	var all []azuredevops.ApiResourceLocation
	for _, r := range azureRoutes {
		all = append(all, azuredevops.ApiResourceLocation{
			Id: new(uuid.MustParse(r.id)), Area: &r.area, ResourceName: &r.resource, RouteTemplate: &r.route,
			ResourceVersion: new(1), MinVersion: new("1.0"), MaxVersion: new("7.1"), ReleasedVersion: new("7.1"),
		})
	}
	return all
}
