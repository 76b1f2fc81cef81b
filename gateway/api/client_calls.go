package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vcsagent/gateway/control"
)

// Pools lists the pools by name.
func (c *Client) Pools(ctx context.Context) ([]Pool, error) {
	var list poolList
	err := c.get(ctx, "/pools", nil, &list)
	return list.Pools, err
}

// Pool returns a pool and its agents' connections.
func (c *Client) Pool(ctx context.Context, name string) (PoolDetail, error) {
	var pool PoolDetail
	err := c.get(ctx, poolPath(name), nil, &pool)
	return pool, err
}

// CreatePool makes a pool, and its first token.
func (c *Client) CreatePool(ctx context.Context, n NewPool) (CreatedPool, error) {
	var pool CreatedPool
	err := c.call(ctx, http.MethodPost, "/pools", n, &pool)
	return pool, err
}

// UpdatePool changes a pool, which counts from the next request on.
func (c *Client) UpdatePool(ctx context.Context, name string, change PoolChange) (Pool, error) {
	var pool Pool
	err := c.call(ctx, http.MethodPatch, poolPath(name), change, &pool)
	return pool, err
}

// DeletePool removes a pool and ends its agents' sessions.
func (c *Client) DeletePool(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, poolPath(name), nil, nil)
}

// Tokens lists a pool's tokens, oldest first.
func (c *Client) Tokens(ctx context.Context, pool string) ([]Token, error) {
	var list tokenList
	err := c.get(ctx, poolPath(pool)+"/tokens", nil, &list)
	return list.Tokens, err
}

// RotateToken gives a pool another token, beside those that it has.
func (c *Client) RotateToken(ctx context.Context, pool string, n NewToken) (CreatedToken, error) {
	var token CreatedToken
	err := c.call(ctx, http.MethodPost, poolPath(pool)+"/tokens", n, &token)
	return token, err
}

// RevokeToken removes a pool's token and ends the sessions that joined with it.
func (c *Client) RevokeToken(ctx context.Context, pool, id string) error {
	return c.call(ctx, http.MethodDelete, poolPath(pool)+"/tokens/"+segment(id), nil, nil)
}

// CheckPool asks one of the pool's agents whether its VCS answers, which takes up
// to half a minute. What is wrong with agent or VCS is in the result.
func (c *Client) CheckPool(ctx context.Context, pool string) (control.Check, error) {
	patient := *c
	if t := &patient.http.Timeout; *t > 0 {
		*t += checkTime
	}
	var check control.Check
	err := patient.call(ctx, http.MethodPost, poolPath(pool)+"/check", nil, &check)
	return check, err
}

// checkTime is what a check can take beyond other calls.
const checkTime = 30 * time.Second

// Connections lists the sessions of a pool's agents, or of all agents' for the
// pool "", by pool and oldest first.
func (c *Client) Connections(ctx context.Context, pool string) ([]control.Connection, error) {
	path := "/connections"
	if pool != "" {
		path = poolPath(pool) + path
	}
	var list connectionList
	err := c.get(ctx, path, nil, &list)
	return list.Connections, err
}

// Keys lists the keys by name.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	var list keyList
	err := c.get(ctx, "/keys", nil, &list)
	return list.Keys, err
}

// Key returns the key of a name or an ID.
func (c *Client) Key(ctx context.Context, nameOrID string) (Key, error) {
	var key Key
	err := c.get(ctx, keyPath(nameOrID), nil, &key)
	return key, err
}

// CreateKey makes a key that may call the pools named, and, as an admin's, use
// the API.
func (c *Client) CreateKey(ctx context.Context, n NewKey) (CreatedKey, error) {
	var key CreatedKey
	err := c.call(ctx, http.MethodPost, "/keys", n, &key)
	return key, err
}

// UpdateKey changes a key, which counts from the next request on.
func (c *Client) UpdateKey(ctx context.Context, nameOrID string, change KeyChange) (Key, error) {
	var key Key
	err := c.call(ctx, http.MethodPatch, keyPath(nameOrID), change, &key)
	return key, err
}

// DeleteKey removes a key, which is of no use from then on.
func (c *Client) DeleteKey(ctx context.Context, nameOrID string) error {
	return c.call(ctx, http.MethodDelete, keyPath(nameOrID), nil, nil)
}

// Requests returns a page of the log of requests, newest first.
func (c *Client) Requests(ctx context.Context, f RequestFilter) (RequestPage, error) {
	query := f.query()
	setPage(query, f.Before, f.Limit)
	var page RequestPage
	err := c.get(ctx, "/requests", query, &page)
	return page, err
}

// Traffic counts requests in buckets of time.
func (c *Client) Traffic(ctx context.Context, f TrafficFilter) (Traffic, error) {
	query := url.Values{}
	set(query, "pool", f.Pool)
	setTime(query, "from", f.From)
	setTime(query, "to", f.To)
	if f.Bucket != 0 {
		query.Set("bucket", strconv.FormatFloat(f.Bucket.Seconds(), 'f', -1, 64))
	}
	var traffic Traffic
	err := c.get(ctx, "/traffic", query, &traffic)
	return traffic, err
}

// Audit returns a page of the audit log, newest first.
func (c *Client) Audit(ctx context.Context, f AuditFilter) (AuditPage, error) {
	query := url.Values{}
	set(query, "action", f.Action)
	set(query, "target", f.Target)
	setPage(query, f.Before, f.Limit)
	var page AuditPage
	err := c.get(ctx, "/audit", query, &page)
	return page, err
}

// Overview counts what there is, and the requests since a time: if it is zero,
// those of the last 24 hours.
func (c *Client) Overview(ctx context.Context, since time.Time) (Overview, error) {
	query := url.Values{}
	setTime(query, "since", since)
	var o Overview
	err := c.get(ctx, "/overview", query, &o)
	return o, err
}

// Version returns the version of the gateway's software.
func (c *Client) Version(ctx context.Context) (string, error) {
	var v versionAnswer
	err := c.get(ctx, "/version", nil, &v)
	return v.Version, err
}

// MarshalJSON says of an expiry that is zero that the key never expires, which
// is not to leave it alone.
func (k KeyChange) MarshalJSON() ([]byte, error) {
	fields := map[string]any{}
	if k.Pools != nil {
		fields["pools"] = *k.Pools
	}
	if k.Limits != nil {
		fields["limits"] = *k.Limits
	}
	if k.Expires != nil {
		fields["expires_at"] = nil
		if !k.Expires.IsZero() {
			fields["expires_at"] = *k.Expires
		}
	}
	return json.Marshal(fields)
}

// query is what selects requests, but for the page.
func (f RequestFilter) query() url.Values {
	query := url.Values{}
	set(query, "pool", f.Pool)
	set(query, "key", f.Key)
	set(query, "outcome", f.Outcome)
	set(query, "name", f.Name)
	set(query, "project", f.Project)
	set(query, "id", f.ID)
	setTime(query, "from", f.From)
	setTime(query, "to", f.To)
	return query
}

func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func setTime(query url.Values, name string, t time.Time) {
	if !t.IsZero() {
		query.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}

func setPage(query url.Values, before string, limit int) {
	set(query, "before", before)
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
}

func poolPath(name string) string { return "/pools/" + segment(name) }

func keyPath(nameOrID string) string { return "/keys/" + segment(nameOrID) }

// segment is what a name is in a path. It is one that the API refuses if the
// name would name another path, as none and dots do.
func segment(name string) string {
	switch name {
	case "", ".", "..":
		return url.PathEscape("\x00" + name)
	}
	return url.PathEscape(name)
}
