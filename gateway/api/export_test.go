package api

// Route is one that the API has.
type Route struct {
	Method, Path string
	Params       []string
	Open         bool
}

// Routes are all of them.
func Routes() []Route {
	var out []Route
	for _, r := range (&server{}).routes() {
		out = append(out, Route{r.method, r.path, r.params, r.open})
	}
	return out
}

const (
	MaxStreams = maxStreams
	KeepAlive  = keepAlive
	Recheck    = recheck
	WriteTime  = writeTime
	MaxSilence = maxSilence
)
