package agent

import "vcsagent/allow"

// PolicyChange is the policy's settings, read anew while the agent runs, or why
// they couldn't be read.
type PolicyChange struct {
	Options allow.Options
	Err     error // not nil: the policy stays as it is, and the log says so; may be joined
}
