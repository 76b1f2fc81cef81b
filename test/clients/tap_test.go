package clients_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"

	"vcsagent/transport"
)

// tap is a library's way to the network. It adds the gateway's key and keeps a
// copy of what comes back.
type tap struct {
	key  string // "" adds none
	next http.Transport
	got  []reply
}

// reply is an answer as the library got it.
type reply struct {
	status int
	header http.Header
	body   string
}

// code is the error code of an answer that the agent or the gateway made, ""
// for one of the VCS's.
func (r reply) code() string { return r.header.Get(transport.ErrorHeader) }

// newTap goes straight to where a URL points, with the key if there is one, or
// to the proxy if there is one.
func newTap(key string, proxy *url.URL) *tap {
	t := &tap{key: key}
	if proxy != nil {
		t.next.Proxy = http.ProxyURL(proxy)
	}
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.key != "" {
		req = req.Clone(req.Context())
		req.Header.Set("VCS-Gateway-Key", t.key)
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	t.got = append(t.got, reply{resp.StatusCode, resp.Header.Clone(), string(body)})
	return resp, nil
}

// take returns what came back since the last take.
func (t *tap) take() []reply {
	got := t.got
	t.got = nil
	return got
}
