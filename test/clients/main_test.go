package clients_test

import (
	"fmt"
	"os"
	"testing"

	"vcsagent/test/servers"
)

// TestMain runs the tests in the software's own module, whose programs they build.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	servers.Main(m)
}
