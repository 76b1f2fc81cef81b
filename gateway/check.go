package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// The codes of a check that got no result from an agent, beside those of callers'
// requests and the agent's own.
const (
	codeAgentTooOld = "agent_too_old" // no agent that is connected knows the check
	codeAgentSilent = "agent_timeout" // the agent didn't answer in time
)

// The codes by which an agent says why its VCS didn't answer.
var checkCodes = []string{"vcs_unreachable", "vcs_timeout", "denied"}

// vendors are the products' own names by what agents call them.
var vendors = map[string]string{
	"gitlab": "GitLab", "github_enterprise": "GitHub Enterprise", "bitbucket_datacenter": "Bitbucket Data Center",
	"azure_devops": "Azure DevOps Server", "gitea": "Gitea",
}

// check is what [control.Live] promises. The request takes no stream, so that a
// pool can be checked while all are busy; agents serve one at a time.
func (g *Gateway) check(ctx context.Context, of store.Pool) control.Check {
	p := g.router.find(of.ID)
	var s *transport.Session
	connected := 0
	if p != nil {
		s, connected = p.checkable()
	}
	switch {
	case connected == 0:
		return control.Check{Code: codeNoAgent, Detail: "No agent of this pool is connected: start one with the pool's token, or look at its log."}
	case s == nil:
		return control.Check{Code: codeAgentTooOld, Detail: "No agent of this pool that is connected can do the check: update vcs-agent, or send a request through the pool."}
	}
	c := control.Check{SessionID: s.ID, Instance: s.Hello.Instance, Vendor: s.Hello.Vendor}
	agent := "agent " + transport.Printable(s.Hello.Instance)
	began := time.Now()
	id := rand.Text()
	result, err := askAgent(ctx, s, id)
	took := time.Since(began).Seconds()
	log := g.log.With("id", id, "pool", p.name, "session", s.ID, "instance", s.Hello.Instance, "elapsed", took)
	if err != nil {
		log.Warn("an agent did not say whether its VCS answers", "error", err)
	} else {
		log.Info("an agent said whether its VCS answers", "code", result.Code, "status_code", result.Status, "version", result.Version)
	}
	var other *notACheckError
	switch {
	case errors.As(err, &other):
		c.Code, c.Detail = codeAgentFault, fmt.Sprintf("The %s is connected, but %s: look at its log.", agent, other.what)
		return c
	case err != nil && ctx.Err() != nil:
		c.Code, c.Detail = codeAgentSilent, fmt.Sprintf("The %s is connected, but did not answer within %.1f s: look at its log.", agent, took)
		return c
	case err != nil:
		c.Code, c.Detail = codeAgentLost, fmt.Sprintf("The %s went away before it answered: look at its log, and check again.", agent)
		return c
	}
	c.Agent, c.Reachable, c.Status, c.Version, c.Elapsed, c.Code = true, result.Reachable, result.Status, result.Version, result.Elapsed, result.Code
	if c.RTT = took - result.Elapsed; c.RTT <= 0 { // the agent remembered its answer
		c.RTT = s.Path().RTT.Seconds()
	}
	product := vendors[s.Hello.Vendor]
	if product == "" {
		product = "The VCS"
	}
	if c.Version != "" {
		product += " " + c.Version
	}
	switch {
	case c.Reachable:
		c.Detail = fmt.Sprintf("%s answers: HTTP %d in %.0f ms through %s.", product, c.Status, math.Ceil(c.Elapsed*1000), agent)
	default:
		c.Detail = fmt.Sprintf("The %s is connected, but got no answer from its VCS.", agent)
	}
	if result.Detail != "" {
		c.Detail += " " + result.Detail
	}
	return c
}

// checkable returns the session to check through, the least busy of those whose
// agents know how, and how many there are of any kind.
func (p *pool) checkable() (best *transport.Session, connected int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var least *member
	for _, m := range p.members {
		if m.ending || m.draining || m.unproven {
			continue
		}
		connected++
		if slices.Contains(m.session.Hello.Features, transport.FeatureCheck) && (least == nil || m.busier(least) < 0) {
			least, best = m, m.session
		}
	}
	return best, connected
}

// notACheckError says that an agent answered a check with something else.
type notACheckError struct{ what string }

// Error implements error.
func (e *notACheckError) Error() string { return e.what }

// askAgent asks an agent, and believes nothing of its answer that can't be.
func askAgent(ctx context.Context, s *transport.Session, id string) (transport.CheckResult, error) {
	var result transport.CheckResult
	req := (&http.Request{Method: http.MethodGet, URL: transport.TargetURL(transport.CheckPath), Header: http.Header{"User-Agent": {"vcs-gateway"}, transport.RequestIDHeader: {id}}}).WithContext(ctx)
	resp, err := s.RoundTrip(req)
	if err != nil {
		return transport.CheckResult{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return transport.CheckResult{}, &notACheckError{fmt.Sprintf("answered the check with status %d", resp.StatusCode)}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, transport.MaxCheckBytes+1))
	if err != nil {
		return transport.CheckResult{}, err
	}
	if len(body) > transport.MaxCheckBytes || json.Unmarshal(body, &result) != nil {
		return transport.CheckResult{}, &notACheckError{"answered the check with something else than a result"}
	}
	if !result.Reachable && !slices.Contains(checkCodes, result.Code) || result.Reachable && result.Code != "" ||
		result.Status < 0 || result.Status > 999 || result.Elapsed < 0 || result.Elapsed > maxElapsed || !isVersion(result.Version) {
		return transport.CheckResult{}, &notACheckError{"answered the check with a result that can't be"}
	}
	result.Detail = transport.Printable(result.Detail)
	return result, nil
}

// maxElapsed is more seconds than any check takes.
const maxElapsed = 3600

// isVersion tells what [transport.CheckResult] allows.
func isVersion(s string) bool {
	return len(s) <= transport.MaxVersionBytes && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(".+-_~", r)
	})
}
