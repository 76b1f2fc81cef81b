package samplevcs

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxPosted is how many statuses, and how many notes, are kept; older ones go.
const maxPosted = 1000

// posted is what callers have posted.
type posted struct {
	mu       sync.Mutex
	lastID   int
	statuses []status
	notes    []note
}

type status struct {
	ID          int       `json:"id"`
	SHA         string    `json:"sha"`
	Ref         string    `json:"ref"`
	Status      string    `json:"status"`
	Name        string    `json:"name"`
	TargetURL   string    `json:"target_url"`
	Description string    `json:"description"`
	CreatedAt   time.Time `json:"created_at"`
	Author      user      `json:"author"`
}

type note struct {
	ID          int       `json:"id"`
	Body        string    `json:"body"`
	Author      user      `json:"author"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	NoteableIID int       `json:"noteable_iid"`
}

type mergeRequest struct {
	ID           int               `json:"id"`
	IID          int               `json:"iid"`
	ProjectID    int               `json:"project_id"`
	Title        string            `json:"title"`
	Description  string            `json:"description"`
	State        string            `json:"state"`
	SourceBranch string            `json:"source_branch"`
	TargetBranch string            `json:"target_branch"`
	SHA          string            `json:"sha"`
	DiffRefs     map[string]string `json:"diff_refs"`
	Author       user              `json:"author"`
	WebURL       string            `json:"web_url"`
}

// theMergeRequest is the one that asks to merge the feature branch as it is
// now; without that branch there is none.
func (v *VCS) theMergeRequest(r *http.Request) (mergeRequest, error) {
	ctx := r.Context()
	head, err := v.repo.commit(ctx, "refs/heads/"+FeatureBranch)
	if err != nil {
		return mergeRequest{}, err
	}
	start, err := v.repo.resolve(ctx, "refs/heads/"+DefaultBranch)
	if err != nil {
		return mergeRequest{}, err
	}
	base, err := v.repo.output(ctx, "merge-base", start, head.ID)
	if err != nil {
		return mergeRequest{}, err
	}
	_, description, _ := strings.Cut(strings.TrimSpace(head.Message), "\n\n")
	return mergeRequest{
		ID: 1000 + MergeRequest, IID: MergeRequest, ProjectID: ProjectID, Title: head.Title, Description: description,
		State: "opened", SourceBranch: FeatureBranch, TargetBranch: DefaultBranch, SHA: head.ID,
		DiffRefs: map[string]string{"base_sha": strings.TrimSpace(base), "head_sha": head.ID, "start_sha": start},
		Author:   bot, WebURL: fmt.Sprintf("%s/%s/-/merge_requests/%d", origin(r), Project, MergeRequest),
	}, nil
}

func (v *VCS) listMergeRequests(w http.ResponseWriter, r *http.Request) error {
	m, err := v.theMergeRequest(r)
	if err != nil {
		return err
	}
	all := []mergeRequest{m}
	for key, value := range map[string]string{"state": m.State, "source_branch": m.SourceBranch, "target_branch": m.TargetBranch} {
		if want := r.URL.Query().Get(key); want != "" && want != value && !(key == "state" && want == "all") {
			all = []mergeRequest{}
		}
	}
	return answerPage(w, r, all)
}

func (v *VCS) getMergeRequest(w http.ResponseWriter, r *http.Request) error {
	if err := isMergeRequest(r); err != nil {
		return err
	}
	m, err := v.theMergeRequest(r)
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, m)
	return nil
}

func isMergeRequest(r *http.Request) error {
	if r.PathValue("iid") != strconv.Itoa(MergeRequest) {
		return errNotFound
	}
	return nil
}

func (v *VCS) listNotes(w http.ResponseWriter, r *http.Request) error {
	if err := isMergeRequest(r); err != nil {
		return err
	}
	v.posted.mu.Lock()
	notes := append([]note{}, v.posted.notes...)
	v.posted.mu.Unlock()
	return answerPage(w, r, notes)
}

func (v *VCS) postNote(w http.ResponseWriter, r *http.Request) error {
	body, err := noteBody(w, r)
	if err != nil {
		return err
	}
	v.posted.mu.Lock()
	v.posted.lastID++
	now := time.Now().UTC()
	n := note{v.posted.lastID, body, bot, now, now, MergeRequest}
	v.posted.notes = keep(v.posted.notes, n)
	v.posted.mu.Unlock()
	answerJSON(w, http.StatusCreated, n)
	return nil
}

func (v *VCS) putNote(w http.ResponseWriter, r *http.Request) error {
	body, err := noteBody(w, r)
	if err != nil {
		return err
	}
	v.posted.mu.Lock()
	i := slices.IndexFunc(v.posted.notes, func(n note) bool { return strconv.Itoa(n.ID) == r.PathValue("note") })
	if i < 0 {
		v.posted.mu.Unlock()
		return errNotFound
	}
	v.posted.notes[i].Body, v.posted.notes[i].UpdatedAt = body, time.Now().UTC()
	n := v.posted.notes[i]
	v.posted.mu.Unlock()
	answerJSON(w, http.StatusOK, n)
	return nil
}

func noteBody(w http.ResponseWriter, r *http.Request) (string, error) {
	if err := isMergeRequest(r); err != nil {
		return "", err
	}
	p, err := parameters(w, r)
	if err != nil {
		return "", err
	}
	if p.Get("body") == "" {
		return "", &badRequest{"body is missing"}
	}
	return p.Get("body"), nil
}

func (v *VCS) listStatuses(w http.ResponseWriter, r *http.Request) error {
	sha, err := v.repo.resolve(r.Context(), r.PathValue("sha"))
	if err != nil {
		return err
	}
	v.posted.mu.Lock()
	statuses := []status{}
	for _, s := range v.posted.statuses {
		if s.SHA == sha {
			statuses = append(statuses, s)
		}
	}
	v.posted.mu.Unlock()
	return answerPage(w, r, statuses)
}

var states = []string{"pending", "running", "success", "failed", "canceled", "skipped"}

func (v *VCS) postStatus(w http.ResponseWriter, r *http.Request) error {
	p, err := parameters(w, r)
	if err != nil {
		return err
	}
	switch state := p.Get("state"); {
	case state == "":
		return &badRequest{"state is missing"}
	case !slices.Contains(states, state):
		return &badRequest{"state does not have a valid value"}
	}
	sha, err := v.repo.resolve(r.Context(), r.PathValue("sha"))
	if err != nil {
		return err
	}
	name := cmp.Or(p.Get("name"), p.Get("context"), "default")
	v.posted.mu.Lock()
	v.posted.lastID++
	s := status{v.posted.lastID, sha, p.Get("ref"), p.Get("state"), name, p.Get("target_url"), p.Get("description"), time.Now().UTC(), bot}
	v.posted.statuses = keep(v.posted.statuses, s)
	v.posted.mu.Unlock()
	answerJSON(w, http.StatusCreated, s)
	return nil
}

// keep appends, and drops the oldest of more than maxPosted.
func keep[T any](all []T, one T) []T {
	if len(all) == maxPosted {
		all = slices.Delete(all, 0, 1)
	}
	return append(all, one)
}
