// Package api is the gateway's admin API, /api/v1, and the client that the
// command line uses for it.
//
//	POST /api/v1/pools         {"name", "description"}     make a pool; answers its token
//	GET  /api/v1/pools                                     pools, with their agents counted
//	GET  /api/v1/pools/{name}                              one pool and its agents' connections
//	POST /api/v1/keys          {"name", "pools", "admin"}  make a key; answers it
//	GET  /api/v1/keys                                      keys, without what they are
//	GET  /api/v1/version                                   the gateway's version
//
// Bodies are JSON objects of at most 64 KiB; a field that isn't listed is
// refused, so that a misspelt one is not taken for an absent one. Answers are
// JSON, refusals problem+json (RFC 9457) with a code for programs and a
// sentence for people.
//
// Every request needs an admin key as Authorization: Bearer KEY. The first
// start makes one, see [control.EnsureAdminKey]. A token or a key is in one answer,
// the one to the request that made it; what is kept is its SHA-256.
//
// The API is served on a listener of its own and not on the callers': what a
// VCS answers there must not share an origin with it.
package api
