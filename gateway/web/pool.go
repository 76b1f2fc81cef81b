package web

import (
	"net/http"
	"slices"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

// poolHead is what all pages of one pool begin with.
type poolHead struct {
	control.Pool
	Status status
	Tab    string // that is current: overview, requests, tokens or settings
}

func (s *server) poolHead(v *visit, tab string) (poolHead, error) {
	p, err := s.control.Pool(v.ctx(), v.r.PathValue("name"))
	return poolHead{p, statusOf(p), tab}, err
}

// maxConnections bounds a pool's sessions on its page, which is made anew every two
// seconds: a pool may have ten times as many.
const maxConnections = 100

type poolPage struct {
	poolHead
	Traffic *chart
	Rows    []connection   // at most maxConnections
	More    int            // sessions beyond these
	Check   *control.Check // nil: none was asked for
	Host    string         // where agents reach the gateway
}

// connection is an agent's session as the page shows it.
type connection struct {
	control.Connection
	Vendor string
	Labels []string // its tags, sorted
	Key    string   // the end of its token key's ID
}

func (s *server) showPool(v *visit) error { return s.pool(v, nil) }

// checkPool asks an agent whether its VCS answers, and shows that on the page.
func (s *server) checkPool(v *visit) error {
	check, err := s.control.CheckPool(v.ctx(), v.r.PathValue("name"))
	if err != nil {
		return err
	}
	check.Vendor = vendorTitle(check.Vendor)
	return s.pool(v, &check)
}

func (s *server) pool(v *visit, check *control.Check) error {
	head, err := s.poolHead(v, "overview")
	if err != nil {
		return err
	}
	p := poolPage{poolHead: head, More: max(0, len(head.Connections)-maxConnections), Check: check, Host: s.control.Token(head.Pool.Pool, "").Host}
	if p.Traffic, err = s.traffic(v.ctx(), head.ID, 15*time.Minute, 960, 96); err != nil {
		return err
	}
	for _, c := range head.Connections[:min(len(head.Connections), maxConnections)] {
		p.Rows = append(p.Rows, connection{c, vendorTitle(c.Vendor), labels(c.Tags), tail(c.TokenKeyID)})
	}
	return v.show(http.StatusOK, "pool", "pools", head.Name, p)
}

// labels are tags as one word each.
func labels(tags map[string]string) []string {
	var words []string
	for name, value := range tags {
		words = append(words, name+"="+value)
	}
	slices.Sort(words)
	return words
}

// tail is enough of an ID for people to tell it from a pool's others: ULIDs begin
// with the time and end at random.
func tail(id string) string {
	const most = 6
	if len(id) <= most {
		return id
	}
	return "…" + id[len(id)-most:]
}

func (s *server) askToPause(v *visit) error {
	head, err := s.poolHead(v, "overview")
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "pause", "pools", "Pause "+head.Name, head)
}

func (s *server) pausePool(v *visit) error { return s.setPaused(v, true, "paused") }

func (s *server) resumePool(v *visit) error { return s.setPaused(v, false, "resumed") }

func (s *server) setPaused(v *visit, paused bool, done string) error {
	name := v.r.PathValue("name")
	if _, err := s.control.UpdatePool(v.ctx(), v.by(), name, store.PoolChange{Paused: &paused}); err != nil {
		return err
	}
	return v.seeOther(poolPath(name), done)
}

// deletePage asks for the name, since what is deleted can't be had again.
type deletePage struct {
	poolHead
	Problem string
}

func (s *server) askToDeletePool(v *visit) error {
	head, err := s.poolHead(v, "overview")
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "delete-pool", "pools", "Delete "+head.Name, deletePage{poolHead: head})
}

func (s *server) deletePool(v *visit) error {
	head, err := s.poolHead(v, "overview")
	if err != nil {
		return err
	}
	if v.r.PostForm.Get("confirm") != head.Name {
		return v.show(http.StatusUnprocessableEntity, "delete-pool", "pools", "Delete "+head.Name,
			deletePage{head, "This is not the pool's name, so nothing was deleted."})
	}
	if err := s.control.DeletePool(v.ctx(), v.by(), head.Name); err != nil {
		return err
	}
	return v.seeOther("/", "pool-gone")
}
