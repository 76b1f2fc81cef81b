//go:build !race

package transport_test

// largeBody is what goes each way in TestLargeBodies.
const largeBody = 1 << 30
