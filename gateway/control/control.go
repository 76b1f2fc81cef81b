package control

import (
	"context"
	"log/slog"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Control is the admin's side of a gateway. Its methods may be called at the same
// time from several goroutines.
type Control struct {
	// Store holds the pools, keys and logs; required.
	Store *store.Store
	// Token makes a pool's token from the key in it: it adds the gateway's public
	// address and pin. Required.
	Token func(pool store.Pool, key transport.Secret) transport.Token
	// Live is the running gateway.
	Live Live
	// Version is the software's version.
	Version string
	// Logger gets a line for every change; nil means slog.Default().
	Logger *slog.Logger
}

// Live is what a running gateway knows and can do that its store can't. A nil
// func stands for a gateway without agents or requests. All may be called at any
// time, from several goroutines, and return at once unless they say otherwise.
type Live struct {
	// Connections lists a pool's live sessions, oldest first.
	Connections func(poolID string) []Connection
	// Changed tells that pools or keys were changed: what the gateway remembers of
	// them is forgotten, so that the change counts from the next request on, and
	// the sessions of the pool with this ID ("": none) that have no right to be
	// any more are closed, with the requests in flight on them: their pool or
	// token key is gone, or they come from a network that isn't the pool's.
	Changed func(poolID string)
	// Check asks an agent of the pool whether its VCS answers. It may take until
	// ctx is done, and takes at most a minute.
	Check func(ctx context.Context, pool store.Pool) Check
	// Follow returns every request of all pools from now on, as it ends. The
	// channel is closed when ctx is done, when the gateway shuts down, or when the
	// reader is so slow that it would miss some.
	Follow func(ctx context.Context) <-chan store.Request
}

// Connection is one agent's live session.
type Connection struct {
	Pool          string            `json:"pool"`           // the pool's name
	SessionID     string            `json:"session_id"`     // chosen by the gateway
	Instance      string            `json:"instance"`       // tells the process from the pool's other agents
	Version       string            `json:"version"`        // the agent's software version
	Vendor        string            `json:"vendor"`         // the VCS's vendor
	Carrier       transport.Carrier `json:"carrier"`        // what the session runs on
	RemoteAddress string            `json:"remote_address"` // the agent's, or its proxy's
	Since         time.Time         `json:"since"`          // when it connected
	Parallelism   int               `json:"parallelism"`    // streams that it may use: what it offered, or the pool's cap
	InFlight      int               `json:"in_flight"`      // streams that serve a request now
	Requests      int64             `json:"requests"`       // served so far
	RTT           float64           `json:"rtt"`            // seconds of the last round trips, smoothed; 0 while not known
	Loss          float64           `json:"loss"`           // share of packets lost, 0 to 1
	Draining      bool              `json:"draining"`       // it gets no new requests
	TokenKeyID    string            `json:"token_key_id"`   // the pool's key that it joined with
	Tags          map[string]string `json:"tags,omitempty"` // the agent's metadata
}

// Check is what came of asking a pool's agent whether its VCS answers.
type Check struct {
	Agent     bool    `json:"agent"`          // an agent is connected and answered
	SessionID string  `json:"session_id"`     // the one asked; "" if none is
	Instance  string  `json:"instance"`       // its agent
	Reachable bool    `json:"reachable"`      // the VCS answered the agent
	Vendor    string  `json:"vendor"`         // as the agent is set
	Status    int     `json:"status"`         // the VCS's HTTP status; 0 without an answer
	Version   string  `json:"version"`        // the VCS's; "" if it doesn't tell without a credential
	RTT       float64 `json:"rtt"`            // seconds from the gateway to the agent and back
	Elapsed   float64 `json:"elapsed"`        // seconds that the VCS took
	Code      string  `json:"code,omitempty"` // why it isn't all well: no_agent, vcs_unreachable, vcs_timeout, …
	Detail    string  `json:"detail"`         // one sentence that sums it up, and what to do next
}

// Actor is who acts, for the audit log: the owner of an admin key, at a network
// address.
func Actor(admin store.Key, remote string) store.Actor {
	return store.Actor{KeyID: admin.ID, KeyName: admin.Name, Remote: remote}
}

func (c *Control) log() *slog.Logger {
	if c.Logger == nil {
		return slog.Default()
	}
	return c.Logger
}

// changed makes a change count at once, for the sessions of a pool too ("": a
// key's change), and logs it; the audit log has it already.
func (c *Control) changed(by store.Actor, poolID, what string, args ...any) {
	if c.Live.Changed != nil {
		c.Live.Changed(poolID)
	}
	c.log().Info(what, append(args, "by", by.KeyName, "remote_address", by.Remote)...)
}
