package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

const (
	// cookieName has a prefix by which browsers take the cookie only from this very
	// host, over TLS or loopback, for all its paths.
	cookieName = "__Host-vcs-gateway"
	// liveHeader marks the script's requests, which can't be sent to a sign-in page.
	liveHeader = "VCS-Gateway-Live"
	// maxNext bounds the address to go back to after a sign-in.
	maxNext = 2000
)

// setCookie gives the browser its session, or takes it away with "".
func setCookie(w http.ResponseWriter, secret transport.Secret) {
	c := &http.Cookie{Name: cookieName, Value: secret.Reveal(), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		MaxAge: int(control.SignInTime.Seconds())}
	if secret == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// secretOf is the session's secret that a browser showed, or "".
func secretOf(r *http.Request) transport.Secret {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return transport.Secret(c.Value)
}

// formToken is the token in a session's forms. Only who has the session's secret
// can make it, and it doesn't give the secret away.
func formToken(secret transport.Secret) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte("vcs-gateway form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// signedIn serves what needs a session, and sends everybody else to sign in.
func (s *server) signedIn(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{server: s, w: w, r: r}
		secret := secretOf(r)
		if secret == "" {
			v.askToSignIn(false)
			return
		}
		admin, err := s.control.Session(r.Context(), secret)
		_, notAdmin := errors.AsType[*control.NotAdminError](err)
		switch {
		case notAdmin, errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrExpired):
			// The script's requests leave it to the page that the browser goes to next.
			if r.Header.Get(liveHeader) == "" {
				setCookie(w, "")
			}
			v.askToSignIn(true)
			return
		case err != nil:
			v.fail(err)
			return
		}
		v.admin, v.csrf = admin, formToken(secret)
		if err := v.checkForm(); err != nil {
			v.fail(err)
			return
		}
		if err := h(v); err != nil {
			v.fail(err)
		}
	})
}

// checkForm reads a form that was posted, and holds it to be one of this
// session's.
func (v *visit) checkForm() error {
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		return nil
	}
	if err := v.readForm(); err != nil {
		return err
	}
	if !hmac.Equal([]byte(v.r.PostForm.Get("csrf")), []byte(v.csrf)) {
		return &problem{http.StatusForbidden, "The form is out of date", "It belongs to an earlier sign-in, so nothing was done. Go back, reload the page and send it again."}
	}
	return nil
}

// askToSignIn answers who has no session; expired says that there was one.
func (v *visit) askToSignIn(expired bool) {
	reading := v.r.Method == http.MethodGet || v.r.Method == http.MethodHead
	switch {
	case v.r.Header.Get(liveHeader) != "":
		http.Error(v.w, "Sign in again.", http.StatusUnauthorized)
		return
	case reading && !expired && v.r.Header.Get("Sec-Fetch-Site") == "cross-site":
		// A link on another site: the browser keeps the cookie back, and sends it
		// when this page asks for itself.
		if err := v.show(http.StatusOK, "again", "", "One moment", v.r.URL.RequestURI()); err != nil {
			v.fail(err)
		}
		return
	}
	q := url.Values{}
	if reading && v.r.URL.Path != "/" {
		q.Set("next", v.r.URL.RequestURI())
	}
	switch {
	case !reading:
		q.Set("why", "lost")
	case expired:
		q.Set("why", "expired")
	}
	to := "/sign-in"
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

// localPath is the address of a page of these, or "/" for anything else: a link
// to the sign-in page must not lead on to another site.
func localPath(next string) string {
	u, err := url.Parse(next)
	switch {
	case err != nil, len(next) > maxNext,
		!strings.HasPrefix(next, "/"), strings.HasPrefix(next, "//"), strings.ContainsAny(next, "\\\r\n\t"), // browsers drop the last three
		u.Path == "/sign-in", u.Path == "/signed-in":
		return "/"
	}
	return u.RequestURI()
}
