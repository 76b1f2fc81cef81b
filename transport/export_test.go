package transport

import "time"

// SetHandshakeTimeout shortens the wait for silent peers; call it before any test runs.
func SetHandshakeTimeout(d time.Duration) { handshakeTimeout = d }

// HalfOpen is how many QUIC handshakes are under way.
func (l *Listener) HalfOpen() int64 { return l.halfOpen.n.Load() }

// RetryAbove is how many are taken from sources that haven't proved their address.
const RetryAbove = retryAbove
