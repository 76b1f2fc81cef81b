package transport_test

import (
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"vcsagent/transport"
)

// zeros is n bytes of body.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Large bodies go each way at the same time, and what is held on the way stays small.
func TestLargeBodies(t *testing.T) {
	const size = largeBody
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				n, err := io.Copy(io.Discard, r.Body)
				if n != size || err != nil {
					t.Errorf("up: %d bytes, %v", n, err)
				}
				return
			}
			io.Copy(w, zeros(size))
		}))
		before := heap()
		stop := make(chan struct{})
		most := make(chan uint64)
		go func() {
			var m uint64
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					m = max(m, heap())
				case <-stop:
					most <- m
					return
				}
			}
		}()
		up := make(chan error, 1)
		go func() {
			resp, err := s.RoundTrip(request(t, "POST", "/", zeros(size)))
			if err == nil {
				resp.Body.Close()
			}
			up <- err
		}()
		resp := roundTrip(t, s, request(t, "GET", "/", nil))
		if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
			t.Errorf("down: %d bytes, %v", n, err)
		}
		select {
		case err := <-up:
			if err != nil {
				t.Errorf("up: %v", err)
			}
		case <-time.After(5 * time.Minute):
			t.Error("up: not done within 5 minutes")
		}
		close(stop)
		// Both ends are in this process.
		if peak := <-most; peak > before+64<<20 {
			t.Errorf("the heap grew by %d MiB", (peak-before)>>20)
		} else {
			t.Logf("the heap grew by %d MiB at the most", (int64(peak)-int64(before))>>20)
		}
	})
}

// heap is the bytes of live and not yet collected objects.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
