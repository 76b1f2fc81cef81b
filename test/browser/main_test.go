package browser_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"vcsagent/test/servers"
)

const (
	// patience bounds every wait for something that is sure to come: seconds
	// on a busy machine.
	patience = 30 * time.Second
	// glance is the pause between two looks at the page or at another process.
	glance = 20 * time.Millisecond
	// testTime is how long a test's browser lives at most.
	testTime = 3 * time.Minute
)

// TestMain runs the tests in the software's own module, whose programs they build.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	servers.Main(m)
}

// eventually looks until ok says yes, and fails the test if that takes longer
// than patience.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	within(t, patience, what, ok)
}

// within is eventually with another bound.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	late := time.After(limit)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

// receive waits for a value.
func receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %s", what, patience)
		panic("unreachable")
	}
}
