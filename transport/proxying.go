package transport

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// What the agent's and the gateway's reverse proxies share.

// CountingBody counts a request's body as it's read. The carrier may still read
// it after the handler has returned, hence the atomic.
type CountingBody struct {
	io.ReadCloser
	n atomic.Int64
}

// Read implements io.Reader.
func (b *CountingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// Bytes is how many were read so far.
func (b *CountingBody) Bytes() int64 { return b.n.Load() }

// FlushInterval is how long the reverse proxies may hold part of an answer back:
// what a VCS has begun to say reaches the caller within it at each of the two,
// also where a Content-Length has them expect more. It is short to a person and
// long to a small answer, which goes out whole before.
const FlushInterval = 20 * time.Millisecond

// CopyBuffers lends the buffers that answers are copied through; it implements
// httputil.BufferPool. The zero value is ready.
type CopyBuffers struct{ pool sync.Pool }

const copyBuffer = 64 << 10

// Get implements httputil.BufferPool.
func (p *CopyBuffers) Get() []byte {
	if b, ok := p.pool.Get().(*[copyBuffer]byte); ok {
		return b[:]
	}
	return new([copyBuffer]byte)[:]
}

// Put implements httputil.BufferPool.
func (p *CopyBuffers) Put(b []byte) { p.pool.Put((*[copyBuffer]byte)(b)) }

// HeaderSize is h's size as the carriers count it against [MaxHeaderBytes]: 32
// bytes for each field beside its text (RFC 9113, section 6.5.2; RFC 9114, section
// 4.2.2), many times what a short one has on HTTP/1.
func HeaderSize(h http.Header) int {
	n := 0
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + 32
		}
	}
	return n
}

// DropOurs takes off the headers, or trailers, that only agent and gateway may
// set: VCS-Agent-* and VCS-Gateway-*, in any case of letters.
func DropOurs(h http.Header) {
	for name := range h {
		if hasPrefixFold(name, "VCS-Agent-") || hasPrefixFold(name, "VCS-Gateway-") {
			delete(h, name)
		}
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// CleanAnswer takes off a VCS's answer, or its trailers, what would act on the
// host that the caller sees, which is the gateway's, and what only we may set.
func CleanAnswer(h http.Header) {
	for _, name := range []string{"Set-Cookie", "Set-Cookie2", "Alt-Svc", "Strict-Transport-Security", "Clear-Site-Data",
		"Refresh", "X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate", "X-Accel-Charset", "X-Sendfile", "X-Lighttpd-Send-File", "X-Reproxy-Url"} {
		delete(h, name)
	}
	for name := range h {
		if !httpguts.ValidHeaderFieldName(name) {
			delete(h, name) // HTTP/2 and HTTP/3 can't carry it, and the answer would fail
		}
	}
	DropOurs(h)
}
