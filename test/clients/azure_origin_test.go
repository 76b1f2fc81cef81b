package clients_test

import (
	"encoding/json"
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
	{"2b6869c4-cb25-42b5-b7a3-0d3e6be0a11a", "git", "deletedRepositories", "{project}/_apis/{area}/{resource}"},
	{"a663da97-81db-4eb3-8b83-287670f63073", "git", "repositories", "{project}/_apis/{area}/recycleBin/{resource}/{repositoryId}"},
	{"630fd2e4-fb88-4f85-ad21-13f3fd1fbca9", "git", "itemsBatch", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}"},
	{"729f6437-6f92-44ec-8bee-273a7111063c", "git", "trees", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{sha1}"},
	{"5bf884f5-3e07-42e9-afb8-1b872267bf16", "git", "changes", "{project}/_apis/{area}/repositories/{repositoryId}/commits/{commitId}/{resource}"},
	{"bc866058-5449-4715-9cf1-a510b6ff193c", "git", "reverts", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{revertId}"},
	{"985f7ae9-844f-4906-9897-7ef41516c0e2", "git", "merges", "{project}/_apis/{area}/repositories/{repositoryNameOrId}/{resource}/{mergeOperationId}"},
	{"1703f858-b9d1-46af-ab62-483e9e1055b5", "git", "forkSyncRequests", "{project}/_apis/{area}/repositories/{repositoryNameOrId}/{resource}/{forkSyncOperationId}"},
	{"b3a6eebe-9cf0-49ea-b6cb-1a4c5f5007b0", "git", "pullRequestQuery", "{project}/_apis/{area}/repositories/{repositoryId}/{resource}"},
	{"965d9361-878b-413b-a494-45d5b5fd8ab7", "git", "attachments", "{project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{fileName}"},
	{"46aecb7a-5d2c-4647-897b-0209505a9fe4", "policy", "evaluations", "{project}/_apis/{area}/{resource}/{evaluationId}"},
	{"dad91cbe-d183-45f8-9c6e-9c1164472121", "policy", "configurations", "{project}/_apis/{area}/{resource}/{configurationId}"},
	{"d30a3dd1-f8ba-442a-b86a-bd0c0c383e59", "core", "teams", "_apis/projects/{projectId}/{resource}/{*teamId}"},
	{"dbeaf647-6167-421a-bda9-c9327b25e2e6", "build", "definitions", "{project}/_apis/{area}/{resource}/{definitionId}"},
	{"7859261e-d2e9-4a68-b820-a5d84cc5bb3d", "pipelines", "runs", "{project}/_apis/{area}/{pipelineId}/{resource}/{runId}"},
	{"a166fde7-27ad-408e-ba75-703c2cc9d500", "release", "releases", "{project}/_apis/{area}/{resource}/{releaseId}"},
	{"14e48fdc-2c8b-41ce-a0c3-e26f6cc55bd0", "serviceendpoint", "endpoints", "_apis/{area}/{resource}/{endpointId}"},
	{"a8c47e17-4d56-4a56-92bb-de7ea7dc65be", "distributedtask", "pools", "_apis/{area}/{resource}/{poolId}"},
	{"25d3fbc7-fe3d-46cb-b5a5-0b6f79caf27b", "wiki", "pages", "{project}/_apis/{area}/wikis/{wikiIdentifier}/{resource}/{*path}"},
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

// azureList is a list as the server writes it.
func azureList[T any](values []T) string {
	body, err := json.Marshal(map[string]any{"count": len(values), "value": values})
	if err != nil {
		panic(http.ErrAbortHandler) // the client sees it
	}
	return string(body)
}
