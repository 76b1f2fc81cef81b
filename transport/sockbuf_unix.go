//go:build unix

package transport

import (
	"context"
	"log/slog"
	"net"

	"golang.org/x/sys/unix"
)

// wantedBuffer is what quic-go asks for, each way, so that a burst isn't lost
// while the program is busy.
const wantedBuffer = 7 << 20

// hintBuffers logs, once the kernel has granted less, what to set for more.
// quic-go asks for the same again: asking first changes nothing.
func hintBuffers(sock *net.UDPConn, log *slog.Logger, level slog.Level) {
	sock.SetReadBuffer(wantedBuffer)
	sock.SetWriteBuffer(wantedBuffer)
	raw, err := sock.SyscallConn()
	if err != nil {
		return
	}
	var in, out int
	raw.Control(func(fd uintptr) {
		in, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
		out, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF)
	})
	if in < wantedBuffer || out < wantedBuffer {
		log.Log(context.Background(), level, "the kernel grants QUIC small UDP buffers, which costs speed on fast links; "+
			"sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000 allows what it wants", "receive_bytes", in, "send_bytes", out, "wanted_bytes", wantedBuffer)
	}
}
