package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"unicode"
	"unicode/utf8"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

// visit is one request, by whoever is signed in.
type visit struct {
	*server
	w     http.ResponseWriter
	r     *http.Request
	admin store.Key // zero on pages that anybody sees
	csrf  string    // the session's token for forms
}

// handler serves a method of a path. Its error becomes a page by [visit.fail].
type handler func(*visit) error

// public serves what needs no session.
func (s *server) public(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{server: s, w: w, r: r}
		if err := v.readForm(); err != nil {
			v.fail(err)
			return
		}
		if err := h(v); err != nil {
			v.fail(err)
		}
	})
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// by is who acts, for the audit log.
func (v *visit) by() store.Actor { return control.Actor(v.admin, v.r.RemoteAddr) }

// readForm reads a form that was posted; r.PostForm has it from then on.
func (v *visit) readForm() error {
	if v.r.Method != http.MethodPost {
		return nil
	}
	err := v.r.ParseForm()
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{http.StatusRequestEntityTooLarge, "Too much", fmt.Sprintf("The form is larger than %d KiB, the most that the pages take.", tooLarge.Limit>>10)}
	}
	if err != nil {
		return &problem{http.StatusBadRequest, "Unreadable", "The form could not be read: go back and send it again."}
	}
	return nil
}

// view is what a page's template works with.
type view struct {
	Title   string // of the browser's window, before the product's name
	Section string // of the navigation that is current
	Admin   string // the name of the key that somebody signed in with; "" shows no navigation
	CSRF    string // for forms
	Version string // the software's
	Done    string // a sentence on what was just done
	Page    any    // what the page is about
}

// show answers with a page.
func (v *visit) show(status int, page, section, title string, about any) error {
	var b bytes.Buffer // so that a template that fails doesn't leave half a page
	err := v.pages[page].execute(&b, view{Title: title, Section: section, Admin: v.admin.Name, CSRF: v.csrf,
		Version: v.control.Version, Done: doneSentence(v.r.URL.Query().Get("done")), Page: about})
	if err != nil {
		return fmt.Errorf("page %s: %w", page, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes()) // an error is the client's, who has gone
	return nil
}

// done are the sentences that a page can begin with after a change. The address
// has only their name: nobody can put words into a page.
var done = map[string]string{
	"paused":      "The pool is paused: callers are refused, agents stay connected.",
	"resumed":     "The pool takes requests again.",
	"saved":       "Saved. It counts from the next request on.",
	"pool-gone":   "The pool is deleted. Its agents were disconnected and its tokens are of no use any more.",
	"revoked":     "The token is revoked, and agents that joined with it were disconnected.",
	"key-gone":    "The key is deleted and of no use any more.",
	"key-changed": "Saved. It counts from the key's next request on.",
}

func doneSentence(name string) string { return done[name] }

// seeOther sends the browser to a page after a change. name is one of done, or "".
func (v *visit) seeOther(path, name string) error {
	if name != "" {
		path += "?done=" + name
	}
	http.Redirect(v.w, v.r, path, http.StatusSeeOther)
	return nil
}

// problem is an error that a page tells of in its own words.
type problem struct {
	status int
	title  string
	detail string // sentences: what happened, and what to do
}

func (p *problem) Error() string { return p.detail }

func notFound(detail string) error { return &problem{http.StatusNotFound, "Not found", detail} }

// fail answers with the page that tells of err. What isn't the client's fault
// stays in the log.
func (v *visit) fail(err error) {
	p := &problem{http.StatusInternalServerError, "That went wrong", "The gateway could not do this; its log says why."}
	level := slog.LevelInfo
	told, known := errors.AsType[*problem](err)
	invalid, isInvalid := errors.AsType[*store.InvalidError](err)
	switch {
	case known:
		p = told
	case isInvalid:
		p = &problem{http.StatusUnprocessableEntity, "Not possible", sentence(invalid)}
	case errors.Is(err, store.ErrNotFound):
		p = &problem{http.StatusNotFound, "Not found", sentence(err)}
	case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrLastAdmin):
		p = &problem{http.StatusConflict, "Not possible", sentence(err)}
	case errors.Is(err, context.Canceled):
		level = slog.LevelDebug // the browser went away
	default:
		level = slog.LevelError
	}
	v.logRefusal(v.r, level, p, v.admin.Name, err)
	if err := v.show(p.status, "problem", "", p.title, problemPage{p.title, p.detail, v.admin.Name != ""}); err != nil {
		v.log.Error("page not shown", "error", err)
		http.Error(v.w, p.detail, p.status)
	}
}

type problemPage struct {
	Title, Detail string
	SignedIn      bool
}

// sentence makes an error's text one.
func sentence(err error) string {
	text := err.Error()
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// poolPath is the address of a pool's page, or of one below it.
func poolPath(name string, below ...string) string {
	path := "/pools/" + url.PathEscape(name)
	for _, b := range below {
		path += "/" + url.PathEscape(b)
	}
	return path
}
