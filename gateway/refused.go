package gateway

import (
	"sync"
	"time"

	"vcsagent/gateway/store"
)

// What is stored of the requests that the gateway refused before anything else
// became of them. They cost who sends them nothing, and need no key even: stored
// without a bound they would push all others out of the log. Each key has the
// budget for itself, and all requests without one have it together.
const (
	refusedPerSecond = 10
	refusedBurst     = 100
)

// refusals is what was used of the budgets of refused requests. It remembers no
// more keys than [limiters] do.
type refusals struct {
	mu sync.Mutex
	by limiters // key ID; "": requests without a key
}

// store uses up a part of a key's budget, or says that nothing is left of it.
func (f *refusals) store(keyID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now() // within the lock, so that the rate sees no time twice
	return f.by.get(now, keyID, &store.Limits{RequestsPerSecond: refusedPerSecond, Burst: refusedBurst}).rate.AllowN(now, 1)
}

// refusedAlone says that no agent had to do with a request: the gateway refused
// it for what it was, or for a limit.
func refusedAlone(r *store.Request) bool {
	return r.Outcome == outcomeRefused && r.SessionID == ""
}
