package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"vcsagent/test/stack"
)

const (
	archivePath = "/api/v4/projects/platform%2Finfra/repository/archive.tar.gz"
	uploadPath  = "/platform/infra.git/git-upload-pack" // the one call whose body isn't inspected
	// residentLimit is what gateway and agent may have resident each, in MiB.
	residentLimit = 64
)

// bodySize is 1 GiB, or 4 GiB in the long run.
func bodySize() int64 {
	if long {
		return 4 << 30
	}
	return 1 << 30
}

// block is a piece of a body, cheap to send many times.
var block = func() []byte {
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i * 31 % 251)
	}
	return b
}()

// blocks is a body of n bytes made of blocks.
func blocks(n int64) io.Reader { return io.LimitReader(&blockReader{}, n) }

type blockReader struct{ at int }

func (r *blockReader) Read(p []byte) (int, error) {
	n := copy(p, block[r.at:])
	r.at = (r.at + n) % len(block)
	return n, nil
}

func digest(t *testing.T, r io.Reader) (sum string, n int64) {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		t.Errorf("after %d bytes: %v", n, err)
	}
	return hex.EncodeToString(h.Sum(nil)), n
}

// A body far larger than memory goes down, and up, whole, with both programs
// small.
func TestLargeBodies(t *testing.T) {
	size := bodySize()
	want, _ := digest(t, blocks(size))
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Run("down", func(t *testing.T) {
			chunked := carrier == "tcp" // once with a length, once without
			s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !chunked {
					w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
				}
				io.Copy(w, blocks(size))
			})})
			a := s.StartAgent(t, "--transport", carrier)
			resp := s.Get(t, archivePath)
			if got, n := digest(t, resp.Body); got != want || n != size {
				t.Errorf("%d bytes came, of %d, with another content", n, size)
			}
			small(t, s, a)
		})
		t.Run("up", func(t *testing.T) {
			type upload struct {
				sum string
				n   int64
			}
			got := make(chan upload, 1)
			s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := sha256.New()
				n, _ := io.Copy(h, r.Body)
				got <- upload{hex.EncodeToString(h.Sum(nil)), n}
			})})
			a := s.StartAgent(t, "--transport", carrier, "--allow-groups", withGit)
			req := s.Request(t, "POST", uploadPath)
			req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
			req.Body, req.ContentLength = io.NopCloser(blocks(size)), size
			if resp := s.Do(t, req); resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
			if u := receive(t, "the upload's end", got); u.sum != want || u.n != size {
				t.Errorf("%d bytes came, of %d, with another content", u.n, size)
			}
			small(t, s, a)
		})
	})
}

func small(t *testing.T, s *stack.Stack, a *stack.Agent) {
	t.Helper()
	for name, p := range map[string]*stack.Process{"gateway": s.Gateway.Process, "agent": a.Process} {
		peak := peakMiB(t, p)
		t.Logf("%s: at most %d MiB resident", name, peak)
		if peak >= residentLimit {
			t.Errorf("%s had %d MiB resident, of %d", name, peak, residentLimit)
		}
	}
}

// A caller that stops reading stops the VCS's sending, without many bytes held on
// the way; one that goes away cancels the VCS's request.
func TestCallerStopsReading(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		var sent atomic.Int64
		gone := make(chan struct{})
		s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v4/user" {
				io.WriteString(w, "{}")
				return
			}
			defer close(gone)
			for r.Context().Err() == nil {
				n, err := w.Write(block[:64<<10])
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		})})
		a := s.StartAgent(t, "--transport", carrier)
		ctx, cancel := context.WithCancel(t.Context())
		resp := s.Do(t, s.Request(t, "GET", archivePath).WithContext(ctx))
		if _, err := io.ReadFull(resp.Body, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		// Kernel buffers on three connections, windows of a stream on two sides.
		const held = 64 << 20
		last := standstill(t, "the VCS stopped sending", &sent)
		if last > held {
			t.Errorf("%d bytes are on the way, more than %d", last, held)
		}
		small(t, s, a)
		// Beside it the other streams go on.
		if got := receive(t, "an answer", send(s.Request(t, "GET", "/api/v4/user"))); got.status != 200 {
			t.Errorf("beside a stopped stream: %d %v", got.status, got.err)
		}
		cancel()
		receive(t, "the VCS's request cancelled", gone)
		if l := a.Await(t, "cancelled"); l.String("name") != "gitlab.archive.get" {
			t.Errorf("the agent's line: %v", l)
		}
	})
}

// standstill waits until a count that only grows has stood still for half a
// second, and returns it.
func standstill(t *testing.T, what string, count *atomic.Int64) int64 {
	t.Helper()
	last, looks := count.Load(), 0
	eventually(t, what, func() bool {
		if now := count.Load(); now != last {
			last, looks = now, 0
		}
		looks++
		return looks >= 50
	})
	return last
}

// A VCS that breaks off is seen as broken off, whether it announced a length or not.
func TestCutAnswers(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		for _, length := range []bool{true, false} {
			s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if length {
					w.Header().Set("Content-Length", "1000000")
				}
				w.Write(block[:100_000])
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})})
			a := s.StartAgent(t, "--transport", carrier)
			if got := receive(t, "an answer", send(s.Request(t, "GET", archivePath))); got.err == nil {
				t.Errorf("announced length %v: the cut answer looks whole: %d, %d bytes", length, got.status, len(got.body))
			}
			a.Await(t, "cut")
			s.Gateway.AwaitLine(t, "outcome cut", func(l stack.Line) bool { return l.String("outcome") == "cut" })
		}
	})
}

// What the VCS has said so far gets to the caller while it prepares the rest,
// whether it announced a length or not.
func TestAnswersAreNotHeldBack(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		const part = "a part "
		for _, length := range []bool{true, false} {
			next := make(chan struct{})
			s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if length {
					w.Header().Set("Content-Length", strconv.Itoa(3*len(part)))
				}
				for range 3 {
					http.NewResponseController(w).Flush()
					<-next
					io.WriteString(w, part)
				}
			})})
			s.StartAgent(t, "--transport", carrier)
			req := s.Request(t, "GET", archivePath)
			answered := make(chan *http.Response, 1)
			go func() {
				if resp, err := direct.Do(req); err == nil {
					answered <- resp
				}
			}()
			resp := receive(t, "the answer's header", answered)
			for range 3 {
				next <- struct{}{}
				got := make([]byte, len(part))
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != part {
					t.Fatalf("announced length %v: %q, %v", length, got, err)
				}
			}
			if _, err := resp.Body.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("announced length %v: no end: %v", length, err)
			}
			resp.Body.Close()
		}
	})
}
