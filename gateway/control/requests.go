package control

import (
	"context"
	"errors"
	"time"

	"vcsagent/gateway/store"
)

// Requests returns a page of the log of requests. See [store.Store.Requests].
func (c *Control) Requests(ctx context.Context, f store.RequestFilter) ([]store.Request, error) {
	return c.Store.Requests(ctx, f)
}

// ErrBehind says that whoever follows the log was too slow, or that the gateway
// shuts down: follow again from the last Seq that was seen.
var ErrBehind = errors.New("the log went on faster than it was read")

// Follow hands over the requests that match f as they end: first those that are
// stored with a Seq above after, oldest first (0: none of the past), then each new
// one. One that couldn't be stored has the Seq 0. It returns the error of send,
// ctx's, [ErrBehind], or one of the store. f's cursors and limit are not looked at.
//
// A request can be handed over up to a second after it ended: it is stored first.
func (c *Control) Follow(ctx context.Context, f store.RequestFilter, after int64, send func(store.Request) error) error {
	if c.Live.Follow == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	live := c.Live.Follow(ctx) // before the past is read: nothing falls in between
	seen := after
	for after > 0 {
		past := f
		past.Before, past.Limit, past.After = 0, 0, seen
		page, err := c.Store.Requests(ctx, past)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := send(r); err != nil {
				return err
			}
			seen = r.Seq
		}
		if len(page) < store.MaxPage {
			break
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r, ok := <-live:
			switch {
			case !ok && ctx.Err() != nil:
				return ctx.Err()
			case !ok:
				return ErrBehind
			case r.Seq != 0 && r.Seq <= seen, !f.Matches(r):
				continue
			}
			if err := send(r); err != nil {
				return err
			}
		}
	}
}

// LastSeq is the Seq that [Control.Follow] goes on from to hand over what ends
// from now on, and nothing that ended before: 0 while nothing is stored.
func (c *Control) LastSeq(ctx context.Context) (int64, error) {
	// The request that came last is stored after all but those that were under
	// way with it: a page of these at most, as a rule.
	page, err := c.Store.Requests(ctx, store.RequestFilter{Limit: 1})
	for err == nil && len(page) > 0 {
		last := page[len(page)-1].Seq
		if page, err = c.Store.Requests(ctx, store.RequestFilter{After: last}); len(page) == 0 {
			return last, err
		}
	}
	return 0, err
}

// Traffic counts a pool's requests ("": all) in buckets of time. See
// [store.Store.Traffic].
func (c *Control) Traffic(ctx context.Context, poolID string, from, to time.Time, bucket time.Duration) ([]store.Bucket, error) {
	return c.Store.Traffic(ctx, poolID, from, to, bucket)
}

// Overview counts what there is, and the requests since a time.
type Overview struct {
	store.Counts
	Since    time.Time
	Agents   int // live sessions on this gateway
	Streams  int // requests that they can serve at a time
	InFlight int // requests that they serve now
	Silent   int // pools that aren't paused and have no agent here
}

// Overview counts what there is, and the requests that came since a time.
func (c *Control) Overview(ctx context.Context, since time.Time) (Overview, error) {
	counts, err := c.Store.Counts(ctx, since)
	if err != nil {
		return Overview{}, err
	}
	pools, err := c.Pools(ctx)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{Counts: counts, Since: since}
	for _, p := range pools {
		o.Agents += len(p.Connections)
		o.Streams += p.Streams()
		o.InFlight += p.InFlight()
		if !p.Paused && len(p.Connections) == 0 {
			o.Silent++
		}
	}
	return o, nil
}

// Audit returns a page of the audit log. See [store.Store.Audit].
func (c *Control) Audit(ctx context.Context, f store.AuditFilter) ([]store.AuditEntry, error) {
	return c.Store.Audit(ctx, f)
}
