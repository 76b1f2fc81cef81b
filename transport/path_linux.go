package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// tcpPath reads TCP_INFO, see tcp(7).
func tcpPath(c net.Conn) PathStats {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return PathStats{}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return PathStats{}
	}
	var info *unix.TCPInfo
	raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil || info == nil {
		return PathStats{} // the connection has ended
	}
	return PathStats{RTT: time.Duration(info.Rtt) * time.Microsecond, Sent: uint64(info.Segs_out), Lost: uint64(info.Total_retrans)}
}
