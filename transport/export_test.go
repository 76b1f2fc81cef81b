package transport

import "time"

// SetHandshakeTimeout shortens the wait for silent peers; call it before any test runs.
func SetHandshakeTimeout(d time.Duration) { handshakeTimeout = d }
