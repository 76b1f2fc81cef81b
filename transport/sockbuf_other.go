//go:build !unix

package transport

import (
	"log/slog"
	"net"
)

// hintBuffers: other systems need no setting for large UDP buffers.
func hintBuffers(*net.UDPConn, *slog.Logger, slog.Level) {}
