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

	"vcsagent/transport"
)

const (
	// clientTimeout bounds a call of a [Client] that was given no http.Client.
	clientTimeout = 30 * time.Second
	// maxAnswerBytes bounds what a client reads of an answer: pools and keys by
	// the ten thousand.
	maxAnswerBytes = 8 << 20
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

// CreatePool makes a pool.
func (c *Client) CreatePool(ctx context.Context, name, description string) (NewPool, error) {
	var pool NewPool
	err := c.call(ctx, http.MethodPost, "/pools", map[string]any{"name": name, "description": description}, &pool)
	return pool, err
}

// Pools lists the pools by name.
func (c *Client) Pools(ctx context.Context) ([]Pool, error) {
	var list poolList
	err := c.call(ctx, http.MethodGet, "/pools", nil, &list)
	return list.Pools, err
}

// Pool returns a pool and its agents' connections.
func (c *Client) Pool(ctx context.Context, name string) (PoolDetail, error) {
	var pool PoolDetail
	err := c.call(ctx, http.MethodGet, "/pools/"+url.PathEscape(name), nil, &pool)
	return pool, err
}

// CreateKey makes a key that may call the pools named, and, as an admin's, use
// the API.
func (c *Client) CreateKey(ctx context.Context, name string, pools []string, admin bool) (NewKey, error) {
	var key NewKey
	err := c.call(ctx, http.MethodPost, "/keys", map[string]any{"name": name, "pools": pools, "admin": admin}, &key)
	return key, err
}

// Keys lists the keys by name.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	var list keyList
	err := c.call(ctx, http.MethodGet, "/keys", nil, &list)
	return list.Keys, err
}

// call sends in, unless it's nil, and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the method and URL
		}
		return fmt.Errorf("the gateway at %s can't be reached: %w", c.base, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("the gateway at %s broke off its answer: %w", c.base, err)
	case len(data) > maxAnswerBytes:
		return fmt.Errorf("the gateway at %s sent an answer of more than %d bytes", c.base, maxAnswerBytes)
	case resp.StatusCode >= 300:
		return c.refused(resp, data)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return c.stranger(resp)
	}
	return nil
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
		what += " (a redirect, which is not followed, to " + short(location) + ")"
	}
	return fmt.Errorf("what answers at %s is not the gateway's admin API, it said %s: "+
		"is this the address of its --admin-listen?", c.base, what)
}
