package samplevcs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// repository is a bare repository, asked by running git.
type repository struct{ dir string }

// history is the repository's content for git fast-import. Times are fixed, so
// commits have the same ids everywhere.
const history = `blob
mark :1
data <<END
# infra

A sample repository.
END
blob
mark :2
data <<END
version: "2"
stack_defaults:
  runner_image: runner:latest
END
blob
mark :3
data <<END
resource "network" "main" {
  cidr = "10.0.0.0/16"
}
END
blob
mark :4
data <<END
resource "network" "main" {
  cidr = "10.0.0.0/16"
}

resource "subnet" "first" {
  cidr = "10.0.1.0/24"
}
END
blob
mark :5
data <<END
resource "network" "main" {
  cidr = "10.0.0.0/16"
}

resource "subnet" "first" {
  cidr = "10.0.1.0/24"
}

resource "subnet" "second" {
  cidr = "10.0.2.0/24"
}
END
commit refs/heads/main
mark :11
author Sample <sample@vcs.invalid> 1767225600 +0000
committer Sample <sample@vcs.invalid> 1767225600 +0000
data <<END
Describe the repository
END
M 100644 :1 README.md
M 100644 :2 .spacelift/config.yml

commit refs/heads/main
mark :12
author Sample <sample@vcs.invalid> 1767312000 +0000
committer Sample <sample@vcs.invalid> 1767312000 +0000
data <<END
Add a network
END
from :11
M 100644 :3 modules/network/main.tf

commit refs/heads/main
mark :13
author Sample <sample@vcs.invalid> 1767398400 +0000
committer Sample <sample@vcs.invalid> 1767398400 +0000
data <<END
Add a subnet
END
from :12
M 100644 :4 modules/network/main.tf

commit refs/heads/feature/more-subnets
mark :14
author Sample <sample@vcs.invalid> 1767484800 +0000
committer Sample <sample@vcs.invalid> 1767484800 +0000
data <<END
Add a second subnet

The first one is full.
END
from :13
M 100644 :5 modules/network/main.tf

tag v1.0.0
from :12
tagger Sample <sample@vcs.invalid> 1767312060 +0000
data <<END
The first release
END
`

func createRepository(dir string) (repository, error) {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return repository{}, fmt.Errorf("%s: %w", dir, fs.ErrExist)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return repository{}, err
	}
	r, ctx := repository{dir}, context.Background()
	init := exec.Command("git", "init", "--quiet", "--bare", "--initial-branch="+DefaultBranch, dir)
	init.Env = environment()
	if out, err := init.CombinedOutput(); err != nil {
		return repository{}, fmt.Errorf("git init: %w: %s", err, out)
	}
	load := r.command(ctx, "fast-import", "--quiet")
	load.Stdin = strings.NewReader(history)
	if out, err := load.CombinedOutput(); err != nil {
		return repository{}, fmt.Errorf("git fast-import: %w: %s", err, out)
	}
	for key, value := range map[string]string{"http.receivepack": "true", "uploadpack.allowFilter": "true"} {
		if _, err := r.output(ctx, "config", key, value); err != nil {
			return repository{}, err
		}
	}
	return r, nil
}

// environment keeps the user's and the machine's git configuration out.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
}

func (r repository) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir=" + r.dir}, args...)...)
	cmd.Env = environment()
	return cmd
}

func (r repository) output(ctx context.Context, args ...string) (string, error) {
	cmd := r.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// errNotFound is what asking for a thing that isn't there gives.
var errNotFound = errors.New("not found")

// resolve returns the id of the commit that a branch, tag or id names.
func (r repository) resolve(ctx context.Context, rev string) (sha string, err error) {
	out, err := r.output(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if err != nil {
		return "", errNotFound
	}
	return strings.TrimSpace(out), nil
}

type commit struct {
	ID             string    `json:"id"`
	ShortID        string    `json:"short_id"`
	Title          string    `json:"title"`
	Message        string    `json:"message"`
	ParentIDs      []string  `json:"parent_ids"`
	AuthorName     string    `json:"author_name"`
	AuthorEmail    string    `json:"author_email"`
	AuthoredDate   time.Time `json:"authored_date"`
	CommitterName  string    `json:"committer_name"`
	CommitterEmail string    `json:"committer_email"`
	CommittedDate  time.Time `json:"committed_date"`
	CreatedAt      time.Time `json:"created_at"`
}

// log returns the commits that revs select, as git log takes them.
func (r repository) log(ctx context.Context, revs ...string) ([]commit, error) {
	out, err := r.output(ctx, append([]string{"log", "-z", "--reverse",
		"--format=%H%x01%h%x01%s%x01%B%x01%P%x01%an%x01%ae%x01%aI%x01%cn%x01%ce%x01%cI"}, revs...)...)
	if err != nil {
		return nil, err
	}
	commits := []commit{}
	for record := range strings.SplitSeq(out, "\x00") {
		if record == "" {
			continue
		}
		f := strings.Split(record, "\x01")
		if len(f) != 11 {
			return nil, fmt.Errorf("git log: %d fields in %q", len(f), record)
		}
		authored, err := time.Parse(time.RFC3339, f[7])
		if err != nil {
			return nil, err
		}
		committed, err := time.Parse(time.RFC3339, f[10])
		if err != nil {
			return nil, err
		}
		commits = append(commits, commit{
			ID: f[0], ShortID: f[1], Title: f[2], Message: f[3], ParentIDs: strings.Fields(f[4]),
			AuthorName: f[5], AuthorEmail: f[6], AuthoredDate: authored,
			CommitterName: f[8], CommitterEmail: f[9], CommittedDate: committed, CreatedAt: committed,
		})
	}
	return commits, nil
}

// commit returns one commit by branch, tag or id.
func (r repository) commit(ctx context.Context, rev string) (commit, error) {
	sha, err := r.resolve(ctx, rev)
	if err != nil {
		return commit{}, err
	}
	commits, err := r.log(ctx, "--max-count=1", sha)
	if err != nil {
		return commit{}, err
	}
	return commits[0], nil
}

// branches returns the names of all branches, sorted.
func (r repository) branches(ctx context.Context) ([]string, error) {
	out, err := r.output(ctx, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
	return strings.Fields(out), err
}

type diff struct {
	OldPath     string `json:"old_path"`
	NewPath     string `json:"new_path"`
	AMode       string `json:"a_mode"`
	BMode       string `json:"b_mode"`
	Diff        string `json:"diff"`
	NewFile     bool   `json:"new_file"`
	RenamedFile bool   `json:"renamed_file"`
	DeletedFile bool   `json:"deleted_file"`
}

// diffs returns what changes from one commit to another, by file.
func (r repository) diffs(ctx context.Context, from, to string) ([]diff, error) {
	out, err := r.output(ctx, "diff-tree", "-r", "-z", "--no-renames", from, to)
	if err != nil {
		return nil, err
	}
	diffs := []diff{}
	fields := strings.Split(out, "\x00") // ":mode mode id id status", path, …
	for i := 0; i+1 < len(fields); i += 2 {
		info, path := strings.Fields(strings.TrimPrefix(fields[i], ":")), fields[i+1]
		text, err := r.output(ctx, "diff-tree", "-p", "--no-renames", from, to, "--", ":(literal)"+path)
		if err != nil {
			return nil, err
		}
		if at := strings.Index(text, "@@"); at >= 0 {
			text = text[at:]
		}
		diffs = append(diffs, diff{
			OldPath: path, NewPath: path, AMode: info[0], BMode: info[1], Diff: text,
			NewFile: info[4] == "A", DeletedFile: info[4] == "D",
		})
	}
	return diffs, nil
}

// blob returns the id and size of a file in a commit.
func (r repository) blob(ctx context.Context, sha, path string) (id string, size int64, err error) {
	object := sha + ":" + path
	if kind, err := r.output(ctx, "cat-file", "-t", object); err != nil || strings.TrimSpace(kind) != "blob" {
		return "", 0, errNotFound
	}
	if id, err = r.output(ctx, "rev-parse", "--verify", "--end-of-options", object); err != nil {
		return "", 0, err
	}
	out, err := r.output(ctx, "cat-file", "-s", object)
	if err != nil {
		return "", 0, err
	}
	size, err = strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	return strings.TrimSpace(id), size, err
}

// stream writes what a git command prints to w as it comes.
func (r repository) stream(ctx context.Context, w, stderr io.Writer, args ...string) error {
	cmd := r.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = w, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git %s: %w", args[0], err)
	}
	return nil
}
