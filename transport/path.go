package transport

import (
	"time"

	"github.com/quic-go/quic-go"
)

// PathStats says how the path to a peer does, as its carrier sees it. On QUIC the
// counts are packets. On TCP they are segments, of which those sent again count as
// lost, and the path is that to the peer's proxy if it comes through one.
type PathStats struct {
	RTT  time.Duration // smoothed; 0 while it isn't known
	Sent uint64
	Lost uint64
}

// Loss returns the share of what was sent that was lost, from 0 to 1.
func (p PathStats) Loss() float64 {
	if p.Sent == 0 {
		return 0
	}
	return min(float64(p.Lost)/float64(p.Sent), 1)
}

func quicPath(c *quic.Conn) PathStats {
	s := c.ConnectionStats()
	return PathStats{RTT: s.SmoothedRTT, Sent: s.PacketsSent, Lost: s.PacketsLost}
}
