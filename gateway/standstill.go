package gateway

import (
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// A caller that stands still would keep a stream from everybody else, so how long
// it may is bounded, for its body and for the answer. One that moves has no limit.
// Tests shorten both.
var (
	bodyIdle   = time.Minute // for its body to bring the next bytes
	answerIdle = time.Minute // to take in more of the answer
)

// http2Piece is what a caller on HTTP/2 must take in within answerIdle. There the
// kernel can't tell who stands still, since a connection has many streams.
const http2Piece = 16 << 10

// answerWriter writes an answer to a caller as long as it is taken in. On HTTP/1
// the kernel sees to that, see [boundStandstill].
type answerWriter struct {
	http.ResponseWriter
	deadline func(time.Time) error // HTTP/2: for the writes until the next; else nil
	stalled  bool                  // a write has failed because the caller stood still
}

func newAnswerWriter(w http.ResponseWriter, r *http.Request) *answerWriter {
	a := &answerWriter{ResponseWriter: w}
	if r.ProtoMajor > 1 {
		a.deadline = http.NewResponseController(w).SetWriteDeadline
	}
	return a
}

// Write implements io.Writer.
func (a *answerWriter) Write(p []byte) (n int, err error) {
	if a.deadline == nil {
		n, err = a.ResponseWriter.Write(p)
		a.note(err)
		return n, err
	}
	defer a.deadline(time.Time{}) // it may be long until the VCS says more
	for {
		a.deadline(time.Now().Add(answerIdle))
		piece := min(len(p)-n, http2Piece)
		m, err := a.ResponseWriter.Write(p[n : n+piece])
		if n += m; err != nil || n == len(p) {
			a.note(err)
			return n, err
		}
	}
}

// FlushError is what [http.ResponseController] calls.
func (a *answerWriter) FlushError() error {
	if a.deadline != nil {
		a.deadline(time.Now().Add(answerIdle))
		defer a.deadline(time.Time{})
	}
	err := http.NewResponseController(a.ResponseWriter).Flush()
	a.note(err)
	return err
}

// last bounds what net/http still has to send when the handler has returned.
func (a *answerWriter) last() {
	if a.deadline != nil {
		a.deadline(time.Now().Add(answerIdle))
	}
}

func (a *answerWriter) note(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		a.stalled = true
	}
}

// Unwrap lets http.ResponseController reach the writer below.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// errStalled is why an answer breaks off that isn't taken in.
var errStalled = errors.New("the caller has stopped taking in the answer")

// acceptedFrom bounds how long the other end of an accepted connection may take
// nothing in.
func acceptedFrom(c *net.TCPConn) *conn {
	boundStandstill(c, answerIdle)
	return &conn{TCPConn: c}
}
