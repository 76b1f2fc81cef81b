package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/transport"
)

const (
	// clientTimeout bounds a call of a [Client] that was given no http.Client.
	clientTimeout = 30 * time.Second
	// maxAnswerBytes bounds what a client reads of an answer: pools and keys by
	// the ten thousand.
	maxAnswerBytes = 64 << 20
)

// Client calls a gateway's admin API. Its methods' errors are sentences; a
// refusal is an [*Error].
type Client struct {
	base string // scheme, host and path prefix, without a slash at the end
	key  transport.Secret
	http http.Client
}

// Error is the API's refusal of a request.
type Error struct {
	Status int    // the HTTP status
	Code   string // stable, for programs
	Detail string // a sentence
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Detail }

// NewClient returns a client for the gateway whose admin listener is at address,
// an http or https URL. hc may carry TLS settings and a time limit; nil means
// the system's roots, the environment's proxies and 30 seconds. Redirects are
// not followed: they would take the key along.
//
// It fails with a sentence when the address or the key can't be one.
func NewClient(address string, key transport.Secret, hc *http.Client) (*Client, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("the gateway's address is not a URL: use http://HOST:PORT or https://HOST:PORT")
	case u.User != nil: // may be a password: not shown
		return nil, errors.New("the gateway's address must not have a user or password: the key is given apart")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("the gateway's address %q is not allowed: use http://HOST:PORT or https://HOST:PORT", address)
	case key == "":
		return nil, errors.New("there is no admin key for the gateway")
	case strings.ContainsFunc(key.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("the admin key has characters that no key has (was it copied whole?)")
	}
	c := &Client{base: strings.TrimRight(u.String(), "/"), key: key}
	if hc != nil {
		c.http = *hc
	} else {
		c.http.Timeout = clientTimeout
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// get reads the answer of a path, with a query, into out.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// call sends in, unless it's nil, and reads the answer into out, unless that is.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	data, err := c.read(resp)
	switch {
	case err != nil:
		return err
	case resp.StatusCode >= 300:
		return c.refused(resp, data)
	case out == nil && resp.StatusCode == http.StatusNoContent:
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return c.stranger(resp)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+prefix+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// unreachable says that there was no answer.
func (c *Client) unreachable(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the method and URL
	}
	return fmt.Errorf("the gateway at %s can't be reached: %w", c.base, err)
}

// read reads an answer to its end.
func (c *Client) read(resp *http.Response) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the gateway at %s broke off its answer: %w", c.base, err)
	case len(data) > maxAnswerBytes:
		return nil, fmt.Errorf("the gateway at %s sent an answer of more than %d bytes", c.base, maxAnswerBytes)
	}
	return data, nil
}

// refused reads the API's refusal.
func (c *Client) refused(resp *http.Response, data []byte) error {
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType != "application/problem+json" {
		return c.stranger(resp)
	}
	var p struct{ Code, Detail string }
	if err := json.Unmarshal(data, &p); err != nil || p.Detail == "" {
		return c.stranger(resp)
	}
	return &Error{Status: resp.StatusCode, Code: p.Code, Detail: p.Detail}
}

// stranger is the error for an answer that isn't the API's: a proxy's, or
// another listener's.
func (c *Client) stranger(resp *http.Response) error {
	what := resp.Status
	if location := resp.Header.Get("Location"); location != "" {
		what += " (a redirect, which is not followed, to " + control.Shown(location) + ")"
	}
	return fmt.Errorf("what answers at %s is not the gateway's admin API, it said %s: "+
		"is this the address of its --admin-listen?", c.base, what)
}
