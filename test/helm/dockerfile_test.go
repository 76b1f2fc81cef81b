package helm_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Docker's own parser and linter read the Dockerfile, and each image is what a
// cluster with the restricted profile takes: empty but for the binary, and
// not root.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	stages := parseDockerfile(t, filepath.Join(deployDir, "Dockerfile"))
	if last := stages[len(stages)-1].Name; last != "vcs-agent" {
		t.Errorf("without --target %s is built, want vcs-agent", last)
	}
	for _, tt := range []struct {
		target string
		ports  []string
		cmd    []string
	}{
		{"vcs-agent", []string{"9464/tcp"}, nil},
		{"vcs-gateway", []string{"8080/tcp", "8081/tcp", "8443/tcp", "8443/udp", "9465/tcp"}, []string{"serve", "--data-dir", "/data"}},
	} {
		t.Run(tt.target, func(t *testing.T) {
			t.Parallel()
			i, ok := instructions.HasStage(stages, tt.target)
			if !ok {
				t.Fatal("no such target")
			}
			img := read(t, stages[i])
			if img.base != "scratch" {
				t.Errorf("built from %s, want scratch", img.base)
			}
			if img.user != "65532:65532" {
				t.Errorf("runs as %q, want 65532:65532", img.user)
			}
			if want := []string{"/" + tt.target}; !slices.Equal(img.entrypoint, want) {
				t.Errorf("entrypoint is %q, want %q without a shell", img.entrypoint, want)
			}
			if !slices.Equal(img.cmd, tt.cmd) {
				t.Errorf("command is %q, want %q", img.cmd, tt.cmd)
			}
			if slices.Sort(img.ports); !slices.Equal(img.ports, tt.ports) {
				t.Errorf("exposes %q, want %q", img.ports, tt.ports)
			}
			want := []string{"${BIN_DIR}/" + tt.target + " → /" + tt.target}
			if slices.Sort(img.files); !slices.Equal(img.files, want) {
				t.Errorf("holds %q, want %q", img.files, want)
			}
		})
	}
}

type image struct {
	base, user string
	entrypoint []string
	cmd        []string
	ports      []string
	files      []string // source → destination
}

func read(t *testing.T, stage instructions.Stage) image {
	t.Helper()
	img := image{base: stage.BaseName}
	for _, command := range stage.Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			for _, source := range c.SourcePaths {
				img.files = append(img.files, source+" → "+c.DestPath)
			}
		case *instructions.UserCommand:
			img.user = c.User
		case *instructions.WorkdirCommand:
			if img.user == "" {
				t.Errorf("WORKDIR %s comes before USER, so root owns it", c.Path)
			}
		case *instructions.ExposeCommand:
			img.ports = append(img.ports, c.Ports...)
		case *instructions.EntrypointCommand:
			img.entrypoint = c.CmdLine
			if c.PrependShell {
				t.Error("the entrypoint needs a shell")
			}
		case *instructions.CmdCommand:
			img.cmd = c.CmdLine
		case *instructions.ArgCommand:
		default: // RUN above all: there is nothing in the image to run
			t.Errorf("unexpected %s", command.Name())
		}
	}
	return img
}

func parseDockerfile(t *testing.T, path string) []instructions.Stage {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	warn := func(rule, _, _, message string, at []parser.Range) { t.Errorf("%s: %s (%v)", rule, message, at) }
	stages, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{Warn: warn}))
	if err != nil {
		t.Fatal(err)
	}
	return stages
}
