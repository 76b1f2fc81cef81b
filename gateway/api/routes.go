package api

import (
	"net/http"
	"slices"
)

// route is one method of one path.
type route struct {
	method, path string
	params       []string // that the query may have
	open         bool     // needs no key
	serve        handler
}

// requestParams select requests; those of a page come on top.
var requestParams = []string{"pool", "key", "outcome", "name", "project", "id", "from", "to"}

// routes are all that the API has. openapi.yaml describes each of them.
func (s *server) routes() []route {
	page := []string{"before", "limit"}
	return []route{
		{method: http.MethodGet, path: "/pools", serve: s.listPools},
		{method: http.MethodPost, path: "/pools", serve: s.createPool},
		{method: http.MethodGet, path: "/pools/{pool}", serve: s.showPool},
		{method: http.MethodPatch, path: "/pools/{pool}", serve: s.updatePool},
		{method: http.MethodDelete, path: "/pools/{pool}", serve: s.deletePool},
		{method: http.MethodPost, path: "/pools/{pool}/check", serve: s.checkPool},
		{method: http.MethodGet, path: "/pools/{pool}/connections", serve: s.poolConnections},
		{method: http.MethodGet, path: "/pools/{pool}/tokens", serve: s.listTokens},
		{method: http.MethodPost, path: "/pools/{pool}/tokens", serve: s.rotateToken},
		{method: http.MethodDelete, path: "/pools/{pool}/tokens/{token}", serve: s.revokeToken},
		{method: http.MethodGet, path: "/connections", serve: s.allConnections},

		{method: http.MethodGet, path: "/keys", serve: s.listKeys},
		{method: http.MethodPost, path: "/keys", serve: s.createKey},
		{method: http.MethodGet, path: "/keys/{key}", serve: s.showKey},
		{method: http.MethodPatch, path: "/keys/{key}", serve: s.updateKey},
		{method: http.MethodDelete, path: "/keys/{key}", serve: s.deleteKey},

		{method: http.MethodGet, path: "/requests", params: slices.Concat(page, requestParams), serve: s.listRequests},
		{method: http.MethodGet, path: "/requests/follow", params: requestParams, serve: s.followRequests},
		{method: http.MethodGet, path: "/traffic", params: []string{"pool", "from", "to", "bucket"}, serve: s.showTraffic},
		{method: http.MethodGet, path: "/audit", params: slices.Concat(page, []string{"action", "target"}), serve: s.listAudit},
		{method: http.MethodGet, path: "/overview", params: []string{"since"}, serve: s.showOverview},
		{method: http.MethodGet, path: "/version", serve: s.showVersion},
		{method: http.MethodGet, path: "/openapi.json", open: true, serve: s.showOpenAPI},
	}
}
