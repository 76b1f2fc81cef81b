package gateway

import "net/http"

// LogPanics is around the admin listener's handler.
func (g *Gateway) LogPanics(next http.Handler) http.Handler { return g.logPanics(next) }
