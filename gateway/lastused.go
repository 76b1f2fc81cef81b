package gateway

import (
	"context"
	"sync"
	"time"

	"vcsagent/gateway/store"
)

// touchEvery is how often the store learns when keys were last used, and
// touchTimeout how long that may take.
const (
	touchEvery   = 10 * time.Second
	touchTimeout = 5 * time.Second
)

// uses remembers when keys were last used, by their IDs, until the store knows.
// Only keys that exist or did until a moment ago are in it.
type uses struct {
	mu              sync.Mutex
	keys, tokenKeys map[string]time.Time
}

// ofRequests notes the callers' keys that requests came with.
func (u *uses) ofRequests(batch []store.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range batch {
		if r := &batch[i]; r.KeyID != "" {
			note(&u.keys, r.KeyID, r.At)
		}
	}
}

// usedTokenKey notes that an agent has joined its pool with a token key.
func (rec *recorder) usedTokenKey(id string) {
	rec.uses.mu.Lock()
	defer rec.uses.mu.Unlock()
	note(&rec.uses.tokenKeys, id, time.Now())
}

func note(in *map[string]time.Time, id string, at time.Time) {
	if *in == nil {
		*in = map[string]time.Time{}
	}
	if at.After((*in)[id]) {
		(*in)[id] = at
	}
}

// touchUntil tells the store of uses every touchEvery, and of the last ones once
// no more requests are written.
func (rec *recorder) touchUntil(ctx context.Context, written <-chan struct{}) {
	tick := time.NewTicker(touchEvery)
	defer tick.Stop()
	failing := false
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-written:
			last = true
		}
		err := rec.touchNow(ctx)
		if err != nil && (!failing || last) {
			rec.log.Warn("could not store when keys were last used", "error", err)
		}
		failing = err != nil
	}
}

// touchNow tells the store of the uses since the last time. Those it doesn't take
// are for the next time.
func (rec *recorder) touchNow(ctx context.Context) error {
	u := &rec.uses
	u.mu.Lock()
	keys, tokenKeys := u.keys, u.tokenKeys
	u.keys, u.tokenKeys = nil, nil
	u.mu.Unlock()
	if len(keys)+len(tokenKeys) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	err := rec.touch(ctx, keys, tokenKeys)
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		for id, at := range keys {
			note(&u.keys, id, at)
		}
		for id, at := range tokenKeys {
			note(&u.tokenKeys, id, at)
		}
	}
	return err
}
