package samplevcs

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

type user struct {
	ID       int    `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`
	State    string `json:"state"`
}

// bot is whose token Token is.
var bot = user{ID: 1, Username: "sample-bot", Name: "Sample bot", State: "active"}

func (v *VCS) getUser(w http.ResponseWriter, _ *http.Request) error {
	answerJSON(w, http.StatusOK, bot)
	return nil
}

type project struct {
	ID                int    `json:"id"`
	Name              string `json:"name"`
	Path              string `json:"path"`
	PathWithNamespace string `json:"path_with_namespace"`
	DefaultBranch     string `json:"default_branch"`
	Visibility        string `json:"visibility"`
	WebURL            string `json:"web_url"`
	HTTPURLToRepo     string `json:"http_url_to_repo"`
}

func theProject(r *http.Request) project {
	web := origin(r) + "/" + Project
	return project{
		ID: ProjectID, Name: path.Base(Project), Path: path.Base(Project), PathWithNamespace: Project,
		DefaultBranch: DefaultBranch, Visibility: "private", WebURL: web, HTTPURLToRepo: web + ".git",
	}
}

func (v *VCS) listProjects(w http.ResponseWriter, r *http.Request) error {
	return answerPage(w, r, []project{theProject(r)})
}

func (v *VCS) getProject(w http.ResponseWriter, r *http.Request) error {
	answerJSON(w, http.StatusOK, theProject(r))
	return nil
}

type branch struct {
	Name    string `json:"name"`
	Default bool   `json:"default"`
	Commit  commit `json:"commit"`
}

func (v *VCS) branch(r *http.Request, name string) (branch, error) {
	// Asked for main~1, git would find a commit where there is no branch.
	if names, err := v.repo.branches(r.Context()); err != nil || !slices.Contains(names, name) {
		return branch{}, cmp.Or(err, errNotFound)
	}
	c, err := v.repo.commit(r.Context(), "refs/heads/"+name)
	return branch{name, name == DefaultBranch, c}, err
}

func (v *VCS) listBranches(w http.ResponseWriter, r *http.Request) error {
	names, err := v.repo.branches(r.Context())
	if err != nil {
		return err
	}
	branches := []branch{}
	for _, name := range names {
		if !strings.Contains(name, r.URL.Query().Get("search")) {
			continue
		}
		b, err := v.branch(r, name)
		if err != nil {
			return err
		}
		branches = append(branches, b)
	}
	return answerPage(w, r, branches)
}

func (v *VCS) getBranch(w http.ResponseWriter, r *http.Request) error {
	b, err := v.branch(r, r.PathValue("branch"))
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, b)
	return nil
}

func (v *VCS) getCommit(w http.ResponseWriter, r *http.Request) error {
	c, err := v.repo.commit(r.Context(), r.PathValue("sha"))
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, c)
	return nil
}

// compare answers from a merge base on, as a merge request's page does, unless
// straight=true.
func (v *VCS) compare(w http.ResponseWriter, r *http.Request) error {
	ctx, query := r.Context(), r.URL.Query()
	var shas [2]string
	for i, key := range []string{"from", "to"} {
		if query.Get(key) == "" {
			return &badRequest{key + " is missing"}
		}
		var err error
		if shas[i], err = v.repo.resolve(ctx, query.Get(key)); err != nil {
			return err
		}
	}
	from, to := shas[0], shas[1]
	commits, err := v.repo.log(ctx, from+".."+to)
	if err != nil {
		return err
	}
	straight := query.Get("straight") == "true"
	base := from
	if !straight {
		if base, err = v.repo.output(ctx, "merge-base", from, to); err != nil {
			return err
		}
		base = strings.TrimSpace(base)
	}
	diffs, err := v.repo.diffs(ctx, base, to)
	if err != nil {
		return err
	}
	answer := map[string]any{
		"commit": nil, "commits": commits, "diffs": diffs,
		"compare_timeout": false, "compare_same_ref": from == to,
		"web_url": fmt.Sprintf("%s/%s/-/compare/%s...%s", origin(r), Project, from, to),
	}
	if len(commits) > 0 {
		answer["commit"] = commits[len(commits)-1]
	}
	answerJSON(w, http.StatusOK, answer)
	return nil
}

func (v *VCS) getFile(w http.ResponseWriter, r *http.Request) error {
	ref, file := r.URL.Query().Get("ref"), r.PathValue("file")
	if ref == "" {
		ref = DefaultBranch
	}
	sha, err := v.repo.resolve(r.Context(), ref)
	if err != nil {
		return err
	}
	id, size, err := v.repo.blob(r.Context(), sha, file)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("X-Gitlab-Blob-Id", id)
	h.Set("X-Gitlab-Commit-Id", sha)
	h.Set("X-Gitlab-File-Path", file)
	h.Set("X-Gitlab-Ref", ref)
	h.Set("X-Gitlab-Size", strconv.FormatInt(size, 10))
	return v.answerStream(w, r, "cat-file", "blob", id)
}

func (v *VCS) archive(format string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		ref := r.URL.Query().Get("sha")
		if ref == "" {
			ref = DefaultBranch
		}
		sha, err := v.repo.resolve(r.Context(), ref)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s-%s-%s", path.Base(Project), strings.ReplaceAll(ref, "/", "-"), sha)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name+"."+format))
		return v.answerStream(w, r, "archive", "--format="+format, "--prefix="+name+"/", sha)
	}
}

// answerStream answers with what a git command prints. Should it fail when
// part of the answer may be out already, the answer is cut off, so that nobody
// takes the part for the whole.
func (v *VCS) answerStream(w http.ResponseWriter, r *http.Request, args ...string) error {
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	stderr := v.Stderr
	if stderr == nil {
		stderr = io.Discard
	}
	if err := v.repo.stream(r.Context(), w, stderr, args...); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}
