package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vcsagent/cmd/internal/cli"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProblemsTakesJoinsApart(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	if got := cli.Problems(cli.Usage(errors.Join(a, errors.Join(b, nil, c)))); !slices.Equal(got, []error{a, b, c}) {
		t.Errorf("got %v", got)
	}
	wrapped := fmt.Errorf("start: %w", a)
	if got := cli.Problems(wrapped); !slices.Equal(got, []error{wrapped}) {
		t.Errorf("a wrapped error came apart: %v", got)
	}
	if cli.Problems(nil) != nil || cli.Usage(nil) != nil || cli.NewSettings("P_").Invalid(nil) != nil {
		t.Error("nil is a problem")
	}
}

func TestExceptKeepsOtherSettings(t *testing.T) {
	told := errors.Join(cli.NewSettingError("a", "", "x"), errors.New("nameless"))
	err := errors.Join(cli.NewSettingError("a", "", "y"), cli.NewSettingError("b", "", "z"), errors.New("also nameless"))
	if got := cli.Except(err, told); got == nil || got.Error() != "--b: z\nalso nameless" {
		t.Errorf("got %v", got)
	}
	if got := cli.Except(nil, told); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"parallelism", "token", "token-file", "vendor"}
	for given, want := range map[string]string{
		"paralelism": "parallelism", "TOKEN_FILE": "token-file", "vendr": "vendor", "tokenn": "token",
		"v": "", "something-else": "", "": "",
	} {
		if got := cli.Nearest(given, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestReadSecretFile(t *testing.T) {
	for _, tc := range []struct{ name, text, want, err string }{
		{"plain", "s3cret", "s3cret", ""},
		{"line break at the end", "s3cret\r\n", "s3cret", ""},
		{"spaces are the secret's", " s3cret \n", " s3cret ", ""},
		{"largest", strings.Repeat("x", cli.MaxSecretFile), strings.Repeat("x", cli.MaxSecretFile), ""},
		{"too large", strings.Repeat("x", cli.MaxSecretFile+1), "", "the file is larger than 64 KiB"},
		{"empty", "", "", "the file is empty"},
		{"blank", " \n\n", "", "the file is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := cli.ReadSecretFile(writeFile(t, "secret", tc.text))
			if got != tc.want || fmt.Sprint(err) != orNil(tc.err) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if _, err := cli.ReadSecretFile(filepath.Join(t.TempDir(), "none")); err == nil || !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "none") {
		t.Errorf("missing: %v", err)
	}
	if _, err := cli.ReadSecretFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("directory: %v", err)
	}
}

func orNil(s string) string {
	if s == "" {
		return "<nil>"
	}
	return s
}

func TestLoggerWritesTimeLowerLevelAndMessage(t *testing.T) {
	var out bytes.Buffer
	log, err := cli.Log{Level: "info", Format: "json"}.Logger(&out)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("unseen")
	log.Warn("two\nlines", "level", "inner")
	var line struct{ Time, Level, Msg string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if _, err := time.Parse(time.RFC3339Nano, line.Time); err != nil || line.Msg != "two\nlines" || !strings.Contains(out.String(), `"level":"warn"`) || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("got %s", out.String())
	}

	out.Reset()
	log, err = cli.Log{Level: "debug", Format: "text"}.Logger(&out)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("two\nlines")
	if got := out.String(); !strings.Contains(got, `level=debug msg="two\nlines"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s", got)
	}
}

func TestLoggerTellsBothWrongSettings(t *testing.T) {
	_, err := cli.Log{Level: "INFO", Format: "xml"}.Logger(new(bytes.Buffer))
	want := "--log-level is \"INFO\": it must be one of debug, info, warn, error\n--log-format is \"xml\": it must be one of json, text"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestFirstSignalCancels(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		ctx, stop := cli.Signals(context.Background())
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		stop()
	}
}

func TestStopWithoutSignalCancelsToo(t *testing.T) {
	ctx, stop := cli.Signals(context.Background())
	if ctx.Err() != nil {
		t.Fatal("cancelled before any signal")
	}
	stop()
	if ctx.Err() == nil {
		t.Error("the context outlives stop")
	}
}

func TestVersionIsNeverEmpty(t *testing.T) {
	code, out, _ := runProgram(t, "version")
	if code != cli.ExitOK || cli.Version() == "" || !strings.HasPrefix(out, "prog "+cli.Version()+" (go") {
		t.Errorf("exit %d, got %q", code, out)
	}
}
