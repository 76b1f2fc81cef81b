package servers

import "testing"

// Chromium returns the path of the browser's program.
func Chromium(t testing.TB) string {
	t.Helper()
	return lookPath(t, "chromium")
}
