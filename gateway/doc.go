// Package gateway is the end that a SaaS backend talks to. Agents hold sessions
// with it; callers send it ordinary HTTP requests with a key, and it routes each
// to an agent of the pool that the request names.
//
//	g, err := gateway.New(ctx, cfg)
//	err = g.Run(ctx) // until ctx is done, then drains
//
// It has four listeners: agents (QUIC and TCP on one port), callers, the admin
// API, and metrics with health. Callers and admin are apart because what a VCS
// answers is untrusted content.
package gateway
