package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

const (
	// maxStreams bounds those who follow at a time: each has a goroutine, and a
	// buffer in the gateway.
	maxStreams = 64
	// streamRetry is when to try again that found maxStreams others.
	streamRetry = 10 * time.Second
	// keepAlive is how often something is sent to keep what is in between from
	// closing the connection.
	keepAlive = 15 * time.Second
	// recheck is how often a follower's key is looked up again.
	recheck = time.Second
	// writeTime is how long a follower may take to read what it is sent.
	writeTime = 10 * time.Second
)

// The name of the events, and the header by which a client resumes.
const (
	requestEvent = "request"
	lastEventID  = "Last-Event-ID"
)

// followRequests sends requests as they end, as server-sent events, for as long
// as the client reads and its key is good.
func (s *server) followRequests(w http.ResponseWriter, r *request) (answer, error) {
	f, err := s.requestFilter(r)
	if err != nil {
		return answer{}, err
	}
	after, err := s.resumeAt(r)
	if err != nil {
		return answer{}, err
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		return answer{}, &refusal{transport.Problem{Status: http.StatusServiceUnavailable, Code: codeTooManyStreams, RetryAfter: streamRetry,
			Detail: fmt.Sprintf("%d clients follow the log already, as many as may at a time: try again later.", maxStreams)}}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx keeps answers back otherwise
	if r.ProtoMajor == 1 {
		h.Set("Connection", "close") // its time limits are this stream's
	}
	if r.Method == http.MethodHead {
		return answer{sent: true}, nil
	}
	stream := &stream{w: w, control: http.NewResponseController(w)}
	err = s.follow(r, f, after, stream)
	stream.limit() // for the stream's end
	s.log.Debug("a follower of the log has gone", "key", r.by.Name, "remote_address", r.RemoteAddr, "reason", err)
	return answer{sent: true}, nil
}

// resumeAt is the Seq after which the client wants requests: the last it saw,
// or else the newest.
func (s *server) resumeAt(r *request) (int64, error) {
	last := r.Header.Get(lastEventID)
	if last == "" {
		return s.control.LastSeq(r.Context())
	}
	seq, err := strconv.ParseInt(last, 10, 64)
	if err != nil || seq < 1 {
		return 0, refuse(http.StatusUnprocessableEntity, codeInvalid,
			fmt.Sprintf("The header %s: %q is not the id of an event of this path.", lastEventID, control.Shown(last)))
	}
	return seq, nil
}

// follow sends until it can't be gone on with, and says why.
func (s *server) follow(r *request, f store.RequestFilter, after int64, to *stream) error {
	ctx, cancel := context.WithCancel(r.Context())
	requests := make(chan store.Request)
	ended := make(chan error, 1)
	go s.feed(ctx, f, after, requests, ended)
	defer func() {
		cancel()
		<-ended
	}()
	// An event without data is none, but its id is where to go on if the
	// connection breaks before the first request.
	if err := to.begin(after); err != nil {
		return err
	}
	alive, check := time.NewTicker(keepAlive), time.NewTicker(recheck)
	defer alive.Stop()
	defer check.Stop()
	for {
		var err error
		select {
		case err := <-ended:
			return err
		case request := <-requests:
			err = to.request(request)
		case <-alive.C:
			err = to.comment()
		case <-check.C:
			_, err = s.authenticate(r.Request)
		}
		if err != nil {
			return err
		}
	}
}

// feed hands requests over until ctx is done or there are no more, and closes
// ended when it has said why.
func (s *server) feed(ctx context.Context, f store.RequestFilter, after int64, requests chan<- store.Request, ended chan<- error) {
	defer close(ended)
	ended <- s.control.Follow(ctx, f, after, func(r store.Request) error {
		select {
		case requests <- r:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// begin sends the header section, and where to resume if that's known.
func (s *stream) begin(after int64) error {
	if after == 0 {
		return s.comment()
	}
	return s.write(fmt.Appendf(nil, "id: %d\n\n", after))
}

// comment sends what a client passes over.
func (s *stream) comment() error { return s.write([]byte(":\n\n")) }

func (s *stream) request(r store.Request) error {
	data, err := json.Marshal(requestOf(r)) // on one line
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", requestEvent)
	if r.Seq != 0 { // else it isn't stored: a client goes on from the one before
		fmt.Fprintf(&b, "id: %d\n", r.Seq)
	}
	fmt.Fprintf(&b, "data: %s\n\n", data)
	return s.write(b.Bytes())
}

// limit bounds the next write: a reader that is stuck must not keep the stream.
func (s *stream) limit() error { return s.control.SetWriteDeadline(time.Now().Add(writeTime)) }

func (s *stream) write(data []byte) error {
	if err := s.limit(); err != nil {
		return err
	}
	_, err := s.w.Write(data)
	return errors.Join(err, s.control.Flush())
}
