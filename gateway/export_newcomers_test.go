package gateway

import (
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// MaxNewcomersOfPool is how many of a pool's agents may wait to be looked at.
const MaxNewcomersOfPool = maxNewcomersOfPool

// AddNewcomer has g look at a session that joined a pool.
func (g *Gateway) AddNewcomer(p store.Pool, instance string) {
	g.newcomers.add(&transport.Session{Hello: transport.Hello{Instance: instance}, Since: time.Now(), Grant: &grant{pool: p}})
}

// SomeTags is someTags.
func SomeTags(tags map[string]string) map[string]string { return someTags(tags) }
