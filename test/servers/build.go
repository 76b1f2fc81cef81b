package servers

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Main is what TestMain calls in a package whose tests call [Binary]: it runs
// the tests, removes what they built, and exits.
func Main(m *testing.M) {
	code := m.Run()
	if err := RemoveBinaries(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Binary builds one of the project's programs, such as "vcs-agent" for
// ./cmd/vcs-agent, once per test process and returns its path. It is built as
// it is released, without the race detector, so that tests may assert time and
// memory. It stays until [RemoveBinaries].
func Binary(t testing.TB, program string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if path, ok := built.paths[program]; ok {
		return path
	}
	path, err := build(program)
	if err != nil {
		t.Fatal(err)
	}
	built.paths[program] = path
	return path
}

// RemoveBinaries removes what [Binary] built. [Main] does it; a TestMain of
// another make, such as goleak's, calls it at its end.
func RemoveBinaries() error {
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		return nil
	}
	err := os.RemoveAll(built.dir)
	built.dir = ""
	clear(built.paths)
	return err
}

// built is what this process has built; a lock held while building makes
// parallel tests wait for the same build.
var built = struct {
	sync.Mutex
	dir   string
	paths map[string]string
}{paths: map[string]string{}}

// build needs built's lock.
func build(program string) (string, error) {
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	if built.dir == "" {
		if built.dir, err = os.MkdirTemp("", "vcs-agent-test-"); err != nil {
			return "", err
		}
	}
	root := filepath.Dir(strings.TrimSpace(string(gomod)))
	if err := readFolders(root); err != nil {
		return "", err
	}
	path := filepath.Join(built.dir, program)
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/"+program)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return path, nil
}

// readFolders reads the module's folders. "go test" keeps the results of tests
// whose own code, and whatever files and folders they read, haven't changed; it
// can't know that they built a program from others.
func readFolders(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "test") {
			return fs.SkipDir
		}
		return err
	})
}
