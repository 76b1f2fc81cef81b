package gateway

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// boundStandstill has the kernel break a connection off whose peer takes nothing in
// for so long, or acknowledges nothing (RFC 793's user timeout, tcp(7)). Unlike a
// deadline on each write it never cuts a peer that is slow: buffers may be large.
func boundStandstill(c *net.TCPConn, d time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}
