// Package agent is the program that runs beside a company's VCS. It keeps a
// session with its gateway alive and answers the requests that come through it:
// each is checked against the allowlist, forwarded, its answer streamed back, and
// logged with what it was for.
//
//	a, err := agent.New(cfg)
//	err = a.Run(ctx) // until ctx is done, then drains
//
// Nothing the allowlist doesn't name reaches the VCS; what reaches it is rebuilt
// from what was matched. The agent never follows redirects, keeps no state and
// listens on nothing but its metrics address.
package agent
