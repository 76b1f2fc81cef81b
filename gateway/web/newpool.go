package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// poolForm is what somebody typed to make a pool.
type poolForm struct {
	Name, Description string
	Vendor, Endpoint  string // only for the snippets
	Vendors           []vendor
	Problems          problems
}

// problems are sentences on what was typed, by field.
type problems map[string]string

// of adds err to the problems if it is about what was typed; else it is returned.
func (p problems) of(err error) error {
	if invalid, ok := errors.AsType[*store.InvalidError](err); ok {
		p[invalid.Field] = sentence(invalid)
		return nil
	}
	return err
}

func (s *server) showNewPool(v *visit) error {
	return v.show(http.StatusOK, "new-pool", "pools", "New pool", poolForm{Vendor: vendors[0].Name, Vendors: vendors})
}

func (s *server) createPool(v *visit) error {
	form := v.r.PostForm
	f := poolForm{Name: strings.TrimSpace(form.Get("name")), Description: text(form.Get("description")),
		Vendor: form.Get("vendor"), Endpoint: strings.TrimSpace(form.Get("endpoint")), Vendors: vendors, Problems: problems{}}
	again := func(status int) error { return v.show(status, "new-pool", "pools", "New pool", f) }
	chosen, ok := vendorOf(f.Vendor)
	if !ok {
		f.Problems["vendor"] = "Choose one of the vendors."
	}
	if err := checkEndpoint(f.Endpoint); err != nil {
		f.Problems["endpoint"] = sentence(err)
	}
	if len(f.Problems) > 0 { // before anything is made
		return again(http.StatusUnprocessableEntity)
	}
	pool, token, err := s.control.CreatePool(v.ctx(), v.by(), store.NewPool{Name: f.Name, Description: f.Description})
	switch {
	case errors.Is(err, store.ErrExists):
		f.Problems["name"] = sentence(err)
		return again(http.StatusConflict)
	case err != nil:
		if err := f.Problems.of(err); err != nil {
			return err
		}
		return again(http.StatusUnprocessableEntity)
	}
	return v.show(http.StatusCreated, "new-token", "pools", pool.Name, newToken(pool, token, chosen, f.Endpoint, true))
}

// text is what was typed into a field of several lines: browsers end them with
// CR LF.
func text(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }

// checkEndpoint holds an optional VCS's URL to what an agent takes.
func checkEndpoint(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		len(s) > 500 || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return fmt.Errorf("%q is no address of a VCS: give scheme, host, and port and path if need be, such as https://gitlab.example.com", control.Shown(s))
	}
	return nil
}

// tokenPage shows a token, the only time that it is shown.
type tokenPage struct {
	Pool     store.Pool
	New      bool // the pool itself is new
	Token    string
	Host     string // where agents reach the gateway
	File     string // a name for the token's file
	Snippets []snippet
}

func newToken(p store.Pool, t transport.Token, v vendor, endpoint string, isNew bool) tokenPage {
	file := "vcs-agent-" + p.Name + ".token"
	return tokenPage{Pool: p, New: isNew, Token: t.Encode(), Host: t.Host, File: file, Snippets: snippets(p.Name, file, v, endpoint)}
}

// waitingPage is whether a pool's first agent has come.
type waitingPage struct {
	Pool       control.Pool
	Connection *control.Connection // the newest; nil while there is none
}

// showWaiting is asked for by the page of a new token, again and again.
func (s *server) showWaiting(v *visit) error {
	pool, err := s.control.Pool(v.ctx(), v.r.PathValue("name"))
	if err != nil {
		return err
	}
	w := waitingPage{Pool: pool}
	if n := len(pool.Connections); n > 0 {
		w.Connection = &pool.Connections[n-1]
	}
	return v.show(http.StatusOK, "waiting", "pools", pool.Name, w)
}
