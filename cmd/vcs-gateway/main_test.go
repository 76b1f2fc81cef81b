package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	vcsgateway "vcsagent/cmd/vcs-gateway"
)

// TestMain makes the test binary the real vcs-gateway too.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	testscript.Main(m, map[string]func(){"vcs-gateway": vcsgateway.Main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Defer(func() { taken.Close() })
			e.Setenv("TAKEN", taken.Addr().String())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":      await,
			"modes":      modes,
			"exits":      exits,
			"jsonis":     jsonIs,
			"jsonget":    jsonGet,
			"readline":   readLine,
			"readstdout": func(ts *testscript.TestScript, neg bool, args []string) { readLine(ts, neg, append(args, "stdout")) },
		},
	})
}

// await waits until a file holds a text: await FILE TEXT.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE TEXT")
	}
	path := ts.MkAbs(args[0])
	for range 3000 { // 30 s
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), args[1]) {
			return
		}
		pause()
	}
	b, _ := os.ReadFile(path)
	ts.Fatalf("%s never held %q; it holds:\n%s", args[0], args[1], b)
}

// exits runs a program and wants an exit code: exits CODE PROGRAM [ARGS...].
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// readLine sets a variable to a file's first line, which isn't shown:
// readline VARIABLE FILE.
func readLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readline VARIABLE FILE")
	}
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	ts.Setenv(args[0], line)
}

// modes prints the modes of a folder and the files in it: modes FOLDER.
func modes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: modes FOLDER")
	}
	root := ts.MkAbs(args[0])
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			rel, _ := filepath.Rel(root, path)
			fmt.Fprintf(ts.Stdout(), "%s %s\n", info.Mode(), rel)
		}
		return err
	})
	ts.Check(err)
}
