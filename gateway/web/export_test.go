package web

import "vcsagent/gateway/store"

// What the tests look at alone.
var (
	Duration   = duration
	Size       = size
	ParseSize  = parseSize
	ExactSize  = exactSize
	Percent    = percent
	ShellQuote = shellQuote
	Draw       = draw
)

// RequestPath is the address of a request's page.
func RequestPath(r store.Request) string { return requestPath(r) }
