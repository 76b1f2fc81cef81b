//go:build race

package transport_test

// largeBody is smaller where the race detector makes each byte dear; make test
// runs the test without it as well.
const largeBody = 64 << 20
