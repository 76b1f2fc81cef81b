package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"

	"vcsagent/allow"
	"vcsagent/metrics"
	"vcsagent/transport"
)

// PolicyChange is the policy's settings, read anew while the agent runs, or why
// they couldn't be read.
type PolicyChange struct {
	Options allow.Options
	Err     error // not nil: the policy stays as it is, and the log says so; may be joined
}

// rules is a policy with what follows from it. Neither changes: a request takes
// the handler's current rules as it begins and is decided, sent and answered by them,
// whatever policy comes in the meantime.
type rules struct {
	policy *allow.Policy
	hosts  hostMap
}

func newRules(base *url.URL, p *allow.Policy) *rules {
	return &rules{policy: p, hosts: newHostMap(base, p.HostPrefixes(), p.RedirectHosts())}
}

// mode is the policy setting's value.
func (r *rules) mode() string {
	if r.policy.Observe() {
		return modeObserve
	}
	return modeEnforce
}

const (
	modeObserve = "observe"
	modeEnforce = "enforce"
)

// followPolicy takes the policy's changes until ctx is done or there can be none
// any more.
func (a *Agent) followPolicy(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c, ok := <-a.cfg.PolicyChanges:
			if !ok {
				return
			}
			a.changePolicy(c)
		}
	}
}

// changePolicy puts a new policy in the old one's place, or says why it can't. Only
// followPolicy calls it, so one change ends before the next begins.
func (a *Agent) changePolicy(c PolicyChange) {
	old := a.handler.rules.Load()
	p, err := a.readAnew(c, old.policy)
	if err != nil {
		a.metrics.PolicyReloads.WithLabelValues(metrics.ReloadFailed).Inc()
		a.metrics.PolicyLastReloadSuccessful.Set(0)
		a.log.Error("policy not changed: the one before stays in force", "problems", problems(err), "policy_sha256", old.policy.Hash(), "rules", old.policy.Rules())
		return
	}
	a.metrics.PolicyLastReloadSuccessful.Set(1)
	if p.Hash() == old.policy.Hash() {
		a.metrics.PolicyReloads.WithLabelValues(metrics.ReloadUnchanged).Inc()
		a.log.Info("policy unchanged", "policy_sha256", p.Hash(), "rules", p.Rules())
		return
	}
	a.handler.rules.Store(newRules(old.hosts.base, p))
	a.metrics.PolicyReloads.WithLabelValues(metrics.ReloadChanged).Inc()
	a.showPolicy(p)
	a.log.LogAttrs(context.Background(), slog.LevelInfo, "policy changed", append(policyAttrs(p, c.Options), slog.String("old_policy_sha256", old.policy.Hash()))...)
	a.warnOfObserving(p)
}

// readAnew compiles the policy of a change to old.
func (a *Agent) readAnew(c PolicyChange, old *allow.Policy) (*allow.Policy, error) {
	if c.Err != nil {
		return nil, c.Err
	}
	v := validation{}
	if c.Options.Vendor != old.Vendor() {
		v.bad("vendor", c.Options.Vendor, "the agent runs with %s, and takes another vendor only at its start", old.Vendor())
		return nil, errors.Join(v.problems...)
	}
	v.policy(c.Options)
	v.credential(&Config{Policy: c.Options, Credential: a.cfg.Credential})
	if v.problems != nil {
		return nil, errors.Join(v.problems...)
	}
	return allow.New(c.Options)
}

// policyAttrs tell a policy in the log's lines on the agent's start and on changes.
func policyAttrs(p *allow.Policy, o allow.Options) []slog.Attr {
	mode := modeEnforce
	if p.Observe() {
		mode = modeObserve
	}
	return []slog.Attr{
		slog.String("vendor", p.Vendor()), slog.String("policy", mode), slog.Int("rules", p.Rules()), slog.Int("blocks", len(p.Blocks())),
		slog.String("policy_sha256", p.Hash()), slog.Any("groups", p.Groups()), slog.String("allowed_projects", o.Projects), slog.Any("redirect_hosts", p.RedirectHosts()),
	}
}

// showPolicy sets the metrics that tell which policy is in force.
func (a *Agent) showPolicy(p *allow.Policy) {
	a.metrics.PolicyRules.Set(float64(p.Rules()))
	a.metrics.PolicyBlocks.Set(float64(len(p.Blocks())))
	a.metrics.PolicyInfo.Reset() // the hash before this one
	a.metrics.PolicyInfo.WithLabelValues(p.Vendor(), p.Hash()).Set(1)
	a.metrics.PolicyObserve.Set(0)
	if p.Observe() {
		a.metrics.PolicyObserve.Set(1)
	}
}

func (a *Agent) warnOfObserving(p *allow.Policy) {
	if p.Observe() {
		a.log.Warn("policy observe: what no rule allows may reach the VCS; what is malformed, blocked, in a group that is off, or a push is denied all the same")
	}
}

// maxProblems bounds the problems of one change in the log.
const maxProblems = 50

// problems takes a joined error apart into its sentences.
func problems(err error) []string {
	var all []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(all) == maxProblems {
			return append(all, "and more")
		}
		if len(line) > maxLoggedError {
			line = strings.ToValidUTF8(line[:maxLoggedError], "") + "…"
		}
		all = append(all, transport.Printable(line))
	}
	return all
}
