package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

type signInPage struct {
	Next    string
	Why     string // a sentence on why somebody is asked to sign in again
	Problem string // what was wrong with the key
}

// why are the sentences that the sign-in page can begin with.
var why = map[string]string{
	"expired": "You have been signed out: a sign-in ends after 12 hours, after 2 hours without use, and with its key.",
	"lost":    "You have been signed out, so what you sent wasn't done. Sign in and send it again.",
	"out":     "You are signed out.",
}

func (s *server) showSignIn(v *visit) error {
	next := localPath(v.r.URL.Query().Get("next"))
	if secret := secretOf(v.r); secret != "" {
		if _, err := s.control.Session(v.ctx(), secret); err == nil {
			return v.seeOther(next, "")
		}
	}
	return v.show(http.StatusOK, "sign-in", "", "Sign in", signInPage{Next: next, Why: why[v.r.URL.Query().Get("why")]})
}

func (s *server) signIn(v *visit) error {
	next := localPath(v.r.PostForm.Get("next"))
	key := transport.Secret(strings.TrimSpace(v.r.PostForm.Get("key")))
	refuse := func(status int, sentence string, err error) error {
		s.logRefusal(v.r, slog.LevelWarn, &problem{status: status}, "", err)
		return v.show(status, "sign-in", "", "Sign in", signInPage{Next: next, Problem: sentence})
	}
	if key == "" {
		return refuse(http.StatusUnprocessableEntity, "Give an admin key.", errors.New("no key"))
	}
	secret, _, err := s.control.SignIn(v.ctx(), key, v.r.RemoteAddr)
	notAdmin, isNotAdmin := errors.AsType[*control.NotAdminError](err)
	if isNotAdmin || errors.Is(err, store.ErrExpired) || errors.Is(err, store.ErrNotFound) {
		// Only failures count: others at the same address, as behind a proxy or an
		// SSH tunnel, can't shut out who has a key.
		if wait, ok := s.failures.take(v.r.RemoteAddr); !ok {
			v.w.Header().Set("Retry-After", wait)
			return refuse(http.StatusTooManyRequests, "Too many attempts from your address failed. Try again in "+wait+" seconds.", errors.New("too many attempts to sign in"))
		}
	}
	switch {
	case isNotAdmin:
		return refuse(http.StatusForbidden, "This key is for calling pools; the pages need an admin key.", notAdmin)
	case errors.Is(err, store.ErrExpired):
		return refuse(http.StatusUnauthorized, "This key has expired: ask another admin for a new one, or restart the gateway, which makes one if none is left.", err)
	case errors.Is(err, store.ErrNotFound):
		return refuse(http.StatusUnauthorized, "This is not one of this gateway's keys.", err)
	case err != nil:
		return err
	}
	setCookie(v.w, secret)
	return v.seeOther("/signed-in?next="+url.QueryEscape(next), "")
}

// showSignedIn is where a sign-in leads: it sees whether the browser kept the
// cookie.
func (s *server) showSignedIn(v *visit) error {
	if secret := secretOf(v.r); secret != "" {
		if _, err := s.control.Session(v.ctx(), secret); err == nil {
			return v.seeOther(localPath(v.r.URL.Query().Get("next")), "")
		}
	}
	return &problem{http.StatusForbidden, "Not signed in", "Your browser didn't keep the sign-in: the pages need HTTPS, or an address of this machine itself such as " +
		"http://127.0.0.1:8081. Set --admin-tls-cert and --admin-tls-key."}
}

func (s *server) signOut(v *visit) error {
	setCookie(v.w, "")
	if err := s.control.SignOut(v.ctx(), secretOf(v.r), v.by()); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return v.seeOther("/sign-in?why=out", "")
}

const (
	// signInBurst attempts may fail at once, and as many a minute.
	signInBurst = 10
	// maxRemotes bounds the addresses that are remembered; the ones not seen for
	// longest go. Keys are too long to be guessed: this bounds the work, not the risk.
	maxRemotes = 4096
)

// failures bounds how often an address may try to sign in in vain.
type failures struct {
	limiters *lru.Cache[netip.Prefix, *rate.Limiter]
}

func newFailures() *failures {
	c, err := lru.New[netip.Prefix, *rate.Limiter](maxRemotes)
	if err != nil {
		panic("web: " + err.Error()) // the size is positive
	}
	return &failures{c}
}

// take counts a failure, or says in how many seconds there is another.
func (a *failures) take(remote string) (seconds string, ok bool) {
	who := networkOf(remote)
	l, found := a.limiters.Get(who)
	if !found {
		fresh := rate.NewLimiter(rate.Every(time.Minute/signInBurst), signInBurst)
		var raced bool
		if l, raced, _ = a.limiters.PeekOrAdd(who, fresh); !raced {
			l = fresh
		}
	}
	if l.Allow() {
		return "", true
	}
	return wholeSeconds(time.Minute / signInBurst), false
}

// networkOf is an IPv4 address, or the /64 that an IPv6 host can choose from.
func networkOf(remote string) netip.Prefix {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{} // all that can't be told apart are one
	}
	ip, bits := addr.Addr().Unmap().WithZone(""), 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
