package transport

import (
	"net/http"
)

// ResponseWriter passes a proxied answer on and nothing else: net/http and
// http3 would add a Content-Type of their own guess where the origin sent none.
// Informational
// answers go on without their fields. It counts what goes by. Make one per request with [NewResponseWriter].
type ResponseWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// NewResponseWriter wraps w.
func NewResponseWriter(w http.ResponseWriter) *ResponseWriter {
	return &ResponseWriter{ResponseWriter: w}
}

// Status is the final status sent so far, or 0.
func (w *ResponseWriter) Status() int { return w.status }

// Bytes is how many bytes of body were taken so far.
func (w *ResponseWriter) Bytes() int64 { return w.bytes }

// WriteHeader implements http.ResponseWriter.
func (w *ResponseWriter) WriteHeader(status int) {
	if status < 200 {
		// The rules for headers are for final answers; nothing goes by them
		// in an informational one.
		clear(w.Header())
	} else if w.status == 0 {
		w.status = status
		// A nil entry stops the guess. The name is in canonical form already.
		h := w.Header()
		if _, ok := h["Content-Type"]; !ok {
			h["Content-Type"] = nil
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *ResponseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *ResponseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
