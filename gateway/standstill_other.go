//go:build !linux

package gateway

import (
	"net"
	"time"
)

// boundStandstill does nothing: what TCP itself does must do.
func boundStandstill(*net.TCPConn, time.Duration) {}
