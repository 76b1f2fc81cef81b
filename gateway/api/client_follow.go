package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	// maxEventBytes bounds a line of the stream: a request's strings come from
	// header sections of tens of KiB, of which JSON can make six times as much.
	maxEventBytes = 1 << 20
	// maxSilence is how long nothing may come before the connection is taken for
	// dead: the gateway sends something each keepAlive.
	maxSilence = 3 * keepAlive
	// The waits before connecting again, doubled each time.
	minWait, maxWait = 250 * time.Millisecond, 10 * time.Second
)

// FollowRequests hands each request that ends from now on and is selected by f
// to each, until ctx is done, each fails, or the gateway refuses: it returns
// that error. f's Before and Limit are not looked at.
//
// When a connection that was there breaks it connects again, as often as it
// takes, and goes on where it was; before the first wait it tells lost, unless
// that is nil, what happened. Requests that the gateway couldn't store are not
// made up for then.
func (c *Client) FollowRequests(ctx context.Context, f RequestFilter, each func(Request) error, lost func(error)) error {
	s := follower{client: c, path: "/requests/follow?" + f.query().Encode(), each: each}
	s.client = s.patient()
	connected := false
	for {
		err := s.follow(ctx)
		refused, is := errors.AsType[*Error](err)
		switch stop, stopped := errors.AsType[*stopError](err); {
		case ctx.Err() != nil:
			return ctx.Err()
		case stopped:
			return stop.err
		case is && refused.Status < 500, !connected && !s.connected:
			return err
		}
		if s.connected {
			connected, s.connected, s.wait = true, false, 0
			if lost != nil {
				lost(err)
			}
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
	}
}

// stopError is the error of whoever gets the requests.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }

// follower is the state over several connections.
type follower struct {
	client    *Client
	path      string
	each      func(Request) error
	last      string        // the last event's id
	connected bool          // this time
	wait      time.Duration // the last one
}

// patient is the client without its time limit, which is for answers that end.
func (s *follower) patient() *Client {
	c := *s.client
	c.http.Timeout = 0
	return &c
}

// pause waits before connecting again: at random up to the double of the last
// wait, so that many don't come at once.
func (s *follower) pause(ctx context.Context) error {
	s.wait = min(max(2*s.wait, minWait), maxWait)
	timer := time.NewTimer(s.wait/2 + rand.N(s.wait/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errSilent says that a connection seems to be dead.
var errSilent = fmt.Errorf("nothing came for %v", maxSilence)

// follow connects once and hands over what comes.
func (s *follower) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(maxSilence, func() { cancel(errSilent) })
	defer silence.Stop()

	req, err := s.client.request(ctx, http.MethodGet, s.path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if s.last != "" {
		req.Header.Set(lastEventID, s.last)
	}
	resp, err := s.client.http.Do(req)
	if err != nil {
		return s.client.unreachable(because(ctx, err))
	}
	defer resp.Body.Close()
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode != http.StatusOK || mediaType != "text/event-stream" {
		data, err := s.client.read(resp)
		if err != nil {
			return err
		}
		return s.client.refused(resp, data)
	}
	s.connected = true
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEventBytes)
	var e event
	for lines.Scan() {
		silence.Reset(maxSilence)
		if lines.Text() != "" {
			e.add(lines.Text())
			continue
		}
		if err := s.dispatch(e); err != nil {
			return err
		}
		e = event{}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the gateway at %s broke off the stream: %w", s.client.base, because(ctx, err))
	}
	return fmt.Errorf("the gateway at %s ended the stream", s.client.base)
}

// because is why ctx is done, if that is what failed.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// dispatch takes an event whose end has come.
func (s *follower) dispatch(e event) error {
	if e.id != "" {
		s.last = e.id
	}
	if e.data == "" || e.name != requestEvent {
		return nil
	}
	var r Request
	if err := json.Unmarshal([]byte(e.data), &r); err != nil {
		return fmt.Errorf("the gateway at %s sent an event that can't be read", s.client.base)
	}
	if err := s.each(r); err != nil {
		return &stopError{err}
	}
	return nil
}

// event is a server-sent event.
type event struct{ name, id, data string }

// add reads one of its lines. The gateway sends no data of several lines.
func (e *event) add(line string) {
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "event":
		e.name = value
	case "id":
		e.id = value
	case "data":
		e.data = value
	}
}
