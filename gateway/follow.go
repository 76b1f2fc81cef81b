package gateway

import (
	"context"
	"sync"

	"vcsagent/gateway/store"
)

const (
	// maxFollowers bounds those who follow the log at the same time.
	maxFollowers = 64
	// followerBuffer is how many requests a follower may be behind: two of the
	// recorder's batches.
	followerBuffer = 2 * batchSize
)

// followers are those who follow the log of requests. None of them holds up the
// others or the recorder.
type followers struct {
	mu     sync.Mutex
	all    map[chan store.Request]func() bool // and what ends the watch over its context
	closed bool
}

// follow returns the requests from now on. The channel is closed when ctx is
// done, when its reader falls behind, and at the shutdown; at once if there are
// maxFollowers already.
func (f *followers) follow(ctx context.Context) <-chan store.Request {
	ch := make(chan store.Request, followerBuffer)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.all) >= maxFollowers {
		close(ch)
		return ch
	}
	if f.all == nil {
		f.all = map[chan store.Request]func() bool{}
	}
	f.all[ch] = context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.remove(ch)
	})
	return ch
}

// remove ends what a follower gets, once. f.mu is held.
func (f *followers) remove(ch chan store.Request) {
	if stop, ok := f.all[ch]; ok {
		stop()
		delete(f.all, ch)
		close(ch)
	}
}

// publish hands requests to every follower that has room for them.
func (f *followers) publish(batch []store.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ch := range f.all {
		// Only here is anything sent, so the room stays.
		if cap(ch)-len(ch) < len(batch) {
			f.remove(ch)
			continue
		}
		for _, r := range batch {
			ch <- r
		}
	}
}

// close ends what all get, and those still to come.
func (f *followers) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for ch := range f.all {
		f.remove(ch)
	}
}
