package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// The two calls, which GitLab's rules allow, and the sizes of their answers.
const (
	smallPath  = "/api/v4/projects/group%2Frepo"
	smallBytes = 1 << 10
	bulkPath   = "/api/v4/projects/group%2Frepo/repository/archive.tar.gz"
)

// serveOrigin stands for the VCS: it answers the two calls from memory until ctx
// is done.
func serveOrigin(ctx context.Context, bulk string, log io.Writer) error {
	size, err := strconv.ParseInt(bulk, 10, 64)
	if err != nil {
		return fmt.Errorf("the bulk answer's size: %w", err)
	}
	small := smallAnswer()
	block := make([]byte, mebi)
	return serve(ctx, log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case smallPath:
			gitlabHeaders(w.Header(), "application/json", int64(len(small)))
			w.Write(small)
		case bulkPath:
			gitlabHeaders(w.Header(), "application/octet-stream", size)
			for left := size; left > 0; {
				n, err := w.Write(block[:min(left, int64(len(block)))])
				if err != nil {
					return // the caller went away
				}
				left -= int64(n)
			}
		default:
			http.NotFound(w, r)
		}
	}))
}

// smallAnswer is a project as GitLab tells of it, filled up to smallBytes.
func smallAnswer() []byte {
	const head = `{"id":17,"name":"repo","path_with_namespace":"group/repo","default_branch":"main","visibility":"private","description":"`
	const tail = `"}`
	return []byte(head + strings.Repeat("x", smallBytes-len(head)-len(tail)) + tail)
}

// gitlabHeaders sets about as many headers as GitLab sends.
func gitlabHeaders(h http.Header, contentType string, length int64) {
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	h.Set("Cache-Control", "max-age=0, private, must-revalidate")
	h.Set("Etag", `W/"0f343b0931126a20f133d67c2b018a3b"`)
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("Vary", "Origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("X-Gitlab-Meta", `{"correlation_id":"01JQ5V8Z7M0000000000000000","version":"1"}`)
	h.Set("X-Runtime", "0.048210")
}

// serve serves h on a loopback port until ctx is done. It writes where, as the
// line that [process.await] waits for.
func serve(ctx context.Context, log io.Writer, h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h}
	context.AfterFunc(ctx, func() { srv.Close() })
	slog.New(slog.NewJSONHandler(log, nil)).Info(servingMessage, addressKey, l.Addr().String())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
