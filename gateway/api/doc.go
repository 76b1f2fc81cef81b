// Package api is the gateway's admin API, /api/v1, and the client that the
// command line uses for it.
//
// openapi.yaml, which the API serves as /api/v1/openapi.json, describes all of it,
// and docs/api.md tells people.
//
//	c, err := api.NewClient("https://gateway.example:8081", key, nil)
//	pool, err := c.CreatePool(ctx, api.NewPool{Name: "gitlab"})
//	err = c.FollowRequests(ctx, api.RequestFilter{Pool: "gitlab"}, show, nil)
//
// Bodies are JSON objects of at most 64 KiB; a field or parameter that isn't
// listed is refused, so that a misspelt one is not taken for an absent one.
// Times are RFC 3339 in UTC, and left out of answers when there is none;
// durations are numbers of seconds. Answers are JSON, refusals problem+json
// (RFC 9457) with a code for programs and a sentence for people. The log of
// requests can be followed as server-sent events: for that a server needs no
// limit on the time to write an answer, which the stream sets itself.
//
// Every request but that for the description needs an admin key as
// Authorization: Bearer KEY. The first start makes one, see
// [control.EnsureAdminKey]. A token or a key is in one answer,
// the one to the request that made it; what is kept is its SHA-256.
//
// The API is served on the admins' listener and not on the callers': what a VCS
// answers there must not share an origin with it.
package api
