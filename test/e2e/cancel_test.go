package e2e_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"vcsagent/test/stack"
)

// A caller that goes away cancels its request all the way to the VCS, wherever
// the request is, and its stream serves the next one.
func TestCallerGoesAway(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		arrived, ended := make(chan struct{}, 1), make(chan struct{}, 1)
		s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v4/user" {
				io.WriteString(w, "{}")
				return
			}
			arrived <- struct{}{}
			if r.Method == http.MethodPost {
				io.Copy(io.Discard, r.Body)
			} else if r.URL.RawQuery == "sha=answering" {
				http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
			ended <- struct{}{}
		})})
		a := s.StartAgent(t, "--transport", carrier, "--parallelism", "1", "--allow-groups", withGit)
		for _, tt := range []struct {
			name, method, path string
			status             float64 // in the agent's line
		}{
			{"before the answer", "GET", archivePath, 499},
			{"in the answer", "GET", archivePath + "?sha=answering", 200},
			{"in the request's body", "POST", uploadPath, 499},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req := s.Request(t, tt.method, tt.path).WithContext(ctx)
			req.Header.Set("X-Request-Id", carrier+tt.path)
			body, writer := io.Pipe()
			if tt.method == http.MethodPost {
				req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
				req.Body = body
				go io.WriteString(writer, "a beginning")
			}
			answering, over := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(over)
				if resp, err := direct.Do(req); err == nil {
					close(answering)
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			receive(t, tt.name+": at the VCS", arrived)
			if tt.status == 200 {
				receive(t, tt.name+": the header", answering)
			}
			cancel()
			receive(t, tt.name+": cancelled at the VCS", ended)
			writer.Close() // net/http waits for its reader of the body
			receive(t, tt.name+": the caller's end", over)
			if l := lineOf(t, a.Process, carrier+tt.path); l.String("msg") != "cancelled" || l.Number("status_code") != tt.status {
				t.Errorf("%s: the agent's line: %v", tt.name, l)
			}
			if l := lineOf(t, s.Gateway.Process, carrier+tt.path); l.String("outcome") != "cancelled" {
				t.Errorf("%s: the gateway's line: %v", tt.name, l)
			}
			if got := receive(t, "the next answer", send(s.Request(t, "GET", "/api/v4/user"))); got.status != 200 {
				t.Errorf("%s: the next got %d %v", tt.name, got.status, got.err)
			}
		}
	})
}

// A VCS that stops reading stops the caller's sending, without many bytes held on
// the way.
func TestVCSStopsReading(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		goOn := make(chan struct{})
		s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				io.WriteString(w, "{}")
				return
			}
			<-goOn
			io.Copy(io.Discard, r.Body)
		})})
		a := s.StartAgent(t, "--transport", carrier, "--allow-groups", withGit)
		const size = 256 << 20
		body := &counted{r: blocks(size)}
		req := s.Request(t, "POST", uploadPath)
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		req.Body, req.ContentLength = io.NopCloser(body), size
		uploaded := send(req)
		const held = 64 << 20 // in kernel buffers and the windows of a stream
		if sent := standstill(t, "the caller stopped sending", &body.n); sent == 0 || sent > held {
			t.Errorf("%d bytes are on the way, more than %d", sent, held)
		}
		small(t, s, a)
		if got := receive(t, "an answer", send(s.Request(t, "GET", "/api/v4/user"))); got.status != 200 {
			t.Errorf("beside a stopped stream: %d %v", got.status, got.err)
		}
		close(goOn)
		if got := receive(t, "the upload's end", uploaded); got.status != 200 || body.n.Load() != size {
			t.Errorf("%d %v after %d bytes", got.status, got.err, body.n.Load())
		}
	})
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n atomic.Int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
