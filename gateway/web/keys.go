package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vcsagent/gateway/store"
)

type keysPage struct{ Keys []keyRow }

type keyRow struct {
	store.Key
	Pools   []string // names
	Limited []string // its limits, in words
	Gone    bool     // it has expired
	Own     bool     // whoever looks signed in with it
}

func (s *server) showKeys(v *visit) error {
	keys, err := s.control.Keys(v.ctx())
	if err != nil {
		return err
	}
	names, err := s.poolNames(v)
	if err != nil {
		return err
	}
	var p keysPage
	for _, k := range keys {
		p.Keys = append(p.Keys, keyRow{k, names.of(k.PoolIDs), limitWords(k.Limits), k.Expired(time.Now()), k.ID == v.admin.ID})
	}
	return v.show(http.StatusOK, "keys", "keys", "Keys", p)
}

// poolNames are pools' names by their IDs.
type poolNames map[string]string

func (s *server) poolNames(v *visit) (poolNames, error) {
	pools, err := s.control.Pools(v.ctx())
	if err != nil {
		return nil, err
	}
	names := poolNames{}
	for _, p := range pools {
		names[p.ID] = p.Name
	}
	return names, nil
}

func (n poolNames) of(ids []string) []string {
	var names []string
	for _, id := range ids {
		if name, ok := n[id]; ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// in puts names in the place of the IDs in a text, where they are known.
func (n poolNames) in(ids string) string {
	words := strings.Fields(ids)
	for i, id := range words {
		if name, ok := n[id]; ok {
			words[i] = name
		}
	}
	return strings.Join(words, ", ")
}

func (n poolNames) sorted() []string {
	var names []string
	for _, name := range n {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// limitWords are the limits that are set, one in each word.
func limitWords(l store.Limits) []string {
	f := limitFormOf(l)
	var words []string
	for _, w := range []struct{ value, what string }{{f.RequestsPerSecond, "/s"}, {f.Burst, " at once"}, {f.InFlight, " in flight"},
		{f.BodySize, " bodies"}, {f.QueueLength, " queued"}, {f.QueueWait, " wait"}} {
		if w.value != "" {
			words = append(words, w.value+w.what)
		}
	}
	return words
}

// keyPage is the form to make or change a key.
type keyPage struct {
	Key      store.Key // zero while it is new
	Name     string
	Admin    bool
	Pools    []poolChoice
	Expires  string
	Limits   limitForm
	Problems problems
}

type poolChoice struct {
	Name   string
	Chosen bool
}

func (s *server) showNewKey(v *visit) error {
	names, err := s.poolNames(v)
	if err != nil {
		return err
	}
	p := keyPage{Pools: choices(names.sorted(), []string{v.r.URL.Query().Get("pool")})}
	return v.show(http.StatusOK, "key", "keys", "New key", p)
}

func choices(all, chosen []string) []poolChoice {
	var c []poolChoice
	for _, name := range all {
		c = append(c, poolChoice{name, slices.Contains(chosen, name)})
	}
	return c
}

// read fills the page from a form that was sent, and returns what it says.
func (p *keyPage) read(form url.Values, names poolNames) (store.Limits, time.Time) {
	p.Problems = problems{}
	p.Pools, p.Expires = choices(names.sorted(), form["pools"]), form.Get("expires")
	var limits store.Limits
	p.Limits, limits = readLimits(form, p.Problems)
	expires, err := endOfDay(p.Expires)
	if err != nil {
		p.Problems["expires"] = sentence(err)
		p.Expires = "" // browsers complain of a field with what is no day
	}
	return limits, expires
}

func (s *server) createKey(v *visit) error {
	names, err := s.poolNames(v)
	if err != nil {
		return err
	}
	form := v.r.PostForm
	p := keyPage{Name: strings.TrimSpace(form.Get("name")), Admin: form.Get("kind") == "admin"}
	again := func(status int) error { return v.show(status, "key", "keys", "New key", p) }
	limits, expires := p.read(form, names)
	if len(p.Problems) > 0 {
		return again(http.StatusUnprocessableEntity)
	}
	key, secret, err := s.control.CreateKey(v.ctx(), v.by(), store.NewKey{Name: p.Name, Admin: p.Admin, Pools: form["pools"], Limits: limits, Expires: expires})
	switch {
	case errors.Is(err, store.ErrExists):
		p.Problems["name"] = sentence(err)
		return again(http.StatusConflict)
	case errors.Is(err, store.ErrNotFound):
		p.Problems["pools"] = sentence(err)
		return again(http.StatusUnprocessableEntity)
	case err != nil:
		if err := p.Problems.of(err); err != nil {
			return err
		}
		return again(http.StatusUnprocessableEntity)
	}
	return v.show(http.StatusCreated, "new-secret", "keys", key.Name, newSecretPage{key, secret.Reveal(), names.of(key.PoolIDs)})
}

// newSecretPage shows a key, the only time that it is shown.
type newSecretPage struct {
	Key    store.Key
	Secret string
	Pools  []string
}

func (s *server) keyPage(v *visit) (keyPage, poolNames, error) {
	k, err := s.control.Key(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return keyPage{}, nil, err
	}
	names, err := s.poolNames(v)
	return keyPage{Key: k, Name: k.Name, Admin: k.Admin, Pools: choices(names.sorted(), names.of(k.PoolIDs)), Expires: date(k.ExpiresAt),
		Limits: limitFormOf(k.Limits)}, names, err
}

func (s *server) showKey(v *visit) error {
	p, _, err := s.keyPage(v)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "key", "keys", p.Name, p)
}

func (s *server) saveKey(v *visit) error {
	p, names, err := s.keyPage(v)
	if err != nil {
		return err
	}
	before := p.Expires
	limits, expires := p.read(v.r.PostForm, names)
	again := func() error { return v.show(http.StatusUnprocessableEntity, "key", "keys", p.Name, p) }
	if len(p.Problems) > 0 {
		return again()
	}
	pools := v.r.PostForm["pools"]
	change := store.KeyChange{Pools: &pools, Limits: &limits}
	if p.Expires != before { // else the hour that it had would be lost
		change.Expires = &expires
	}
	_, err = s.control.UpdateKey(v.ctx(), v.by(), p.Key.ID, change)
	switch {
	case errors.Is(err, store.ErrNotFound): // one that was deleted meanwhile
		p.Problems["pools"] = sentence(err)
		return again()
	case err != nil:
		if err := p.Problems.of(err); err != nil {
			return err
		}
		return again()
	}
	return v.seeOther("/keys", "key-changed")
}

func (s *server) askToDeleteKey(v *visit) error {
	k, err := s.control.Key(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "delete-key", "keys", "Delete "+k.Name, keyRow{Key: k, Own: k.ID == v.admin.ID})
}

func (s *server) deleteKey(v *visit) error {
	if err := s.control.DeleteKey(v.ctx(), v.by(), v.r.PathValue("id")); err != nil {
		return err
	}
	return v.seeOther("/keys", "key-gone")
}
