package transport_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"vcsagent/transport"
)

func TestPathStats(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body)
		}))
		before := s.Path()
		if got := readAll(t, roundTrip(t, s, request(t, "POST", "/", strings.NewReader(strings.Repeat("x", 1<<20)))).Body); len(got) != 1<<20 {
			t.Fatalf("%d bytes came back", len(got))
		}
		after := s.Path()
		if after.RTT <= 0 || after.RTT > 5*time.Second {
			t.Errorf("round trip is %s", after.RTT)
		}
		if after.Sent <= before.Sent {
			t.Errorf("sent went from %d to %d over 1 MiB", before.Sent, after.Sent)
		}
		if l := after.Loss(); l < 0 || l > 0.5 {
			t.Errorf("loss on loopback is %v (%+v)", l, after)
		}
		s.Close()
		<-s.Done()
		s.Path() // of a session that has ended: no more than no answer
	})
}

func TestLoss(t *testing.T) {
	for _, c := range []struct {
		p    transport.PathStats
		want float64
	}{{transport.PathStats{}, 0}, {transport.PathStats{Sent: 200, Lost: 3}, 0.015}, {transport.PathStats{Sent: 1, Lost: 2}, 1}} {
		if got := c.p.Loss(); got != c.want {
			t.Errorf("%+v: %v, want %v", c.p, got, c.want)
		}
	}
}
