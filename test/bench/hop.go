package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// serveHop is one proxy of the chain, as plain as the standard library allows:
// it forwards to target over kept connections and does nothing else.
func serveHop(ctx context.Context, target string, log io.Writer) error {
	to, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("the next hop: %w", err)
	}
	t := &http.Transport{MaxIdleConnsPerHost: 2 * maxCallers, DisableCompression: true}
	defer t.CloseIdleConnections()
	return serve(ctx, log, &httputil.ReverseProxy{
		Transport: t,
		Rewrite:   func(pr *httputil.ProxyRequest) { pr.SetURL(to) },
	})
}
