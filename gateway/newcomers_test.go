package gateway_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"vcsagent/gateway"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// joins are the audit log's entries of agents that joined, newest first.
func (f *fixture) joins(t *testing.T) []store.AuditEntry {
	t.Helper()
	entries, err := f.Store().Audit(t.Context(), store.AuditFilter{Action: "agent.join"})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// An agent that a pool hasn't seen before is in the audit log, once, with what it
// said of itself and where it came from.
func TestNewInstanceIsAudited(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		before := len(f.joins(t))
		a := f.join(t, options{mode: mode, instance: "first-" + string(mode), parallelism: 3}, answer(""))
		await(t, "the entry", func() bool { return len(f.joins(t)) == before+1 })
		e := f.joins(t)[0]
		c := f.AgentsOf(f.pool.ID)[0]
		if e.Actor != (store.Actor{Remote: c.RemoteAddress}) || e.Target != (store.Target{Kind: "pool", ID: f.pool.ID, Name: poolName}) {
			t.Errorf("%+v", e)
		}
		for field, want := range map[string]string{
			"instance": "first-" + string(mode), "session": c.SessionID, "version": "agent-test", "vendor": "gitlab", "carrier": string(mode),
			"parallelism": "3", "token_key": c.TokenKeyID, "tags": "region=eu",
		} {
			if e.Detail[field] != want {
				t.Errorf("%s is %q, want %q", field, e.Detail[field], want)
			}
		}
		f.log.await(t, "an agent that was not seen before joined the pool", "instance", "first-"+string(mode))

		a.kill()
		f.join(t, options{mode: mode, instance: "first-" + string(mode)}, answer("")).kill()
		f.join(t, options{mode: mode, instance: "second-" + string(mode)}, answer("")).kill()
		await(t, "the second agent's entry", func() bool { return f.joins(t)[0].Detail["instance"] == "second-"+string(mode) })
		if n := len(f.joins(t)); n != before+2 {
			t.Errorf("%d entries, want %d", n, before+2)
		}
	})
	await(t, "the last one to be counted", func() bool { return f.counted(t, `vcs_gateway_new_instances_total{pool="gitlab"} 4`) })
	if strings.Contains(f.log.String(), poolKey) {
		t.Error("the token's key is in the log")
	}
}

// Those that joined just before a shutdown are looked at.
func TestNewInstancesBeforeShutdown(t *testing.T) {
	f := start(t)
	for _, name := range []string{"a", "b", "c"} {
		f.join(t, options{instance: name}, answer(""))
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	startedOn(t, f.dir, func(again *fixture) {
		if n := len(again.joins(t)); n != 3 {
			t.Errorf("%d entries after the restart, want 3", n)
		}
	})
}

// A pool whose agents join faster than can be looked at leaves room for other
// pools' agents, and the log says how many weren't looked at.
func TestNewInstancesOfAFloodedPool(t *testing.T) {
	f := create(t)
	other := f.addPool(t, "other", "k")
	const more = 7
	for i := range gateway.MaxNewcomersOfPool + more { // nobody looks yet
		f.AddNewcomer(f.pool, fmt.Sprint("flood-", i))
	}
	f.AddNewcomer(other, "honest")
	f.run(t)
	honest := f.Metrics().NewInstances.WithLabelValues("other")
	await(t, "the last one to be looked at", func() bool { return testutil.ToFloat64(honest) == 1 })
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(f.Metrics().NewInstances.WithLabelValues("gitlab")); n != gateway.MaxNewcomersOfPool {
		t.Errorf("%v new agents are counted, want %d", n, gateway.MaxNewcomersOfPool)
	}
	missed := f.log.lines("did not look whether agents are new to their pool: too many joined at once")
	if len(missed) != 1 || missed[0]["pool"] != "gitlab" || missed[0]["agents"] != float64(more) {
		t.Errorf("the log says %v", missed)
	}
	if n := len(f.log.lines("an agent that was not seen before joined the pool")); n != gateway.MaxNewcomersOfPool+1 {
		t.Errorf("%d lines of new agents", n)
	}
	startedOn(t, f.dir, func(again *fixture) {
		if n := len(again.joins(t)); n < store.MaxJoins+2 || n > 2*(store.MaxJoins+1)+1 { // the hour may have ended
			t.Errorf("%d entries of new agents", n)
		}
	})
}

func TestTagsText(t *testing.T) {
	for _, tt := range []struct {
		tags map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"b": "2", "a": "x, y", "c": ""}, "a=x, y, b=2, c="},
		{map[string]string{"a\n": "<b>\x00\xff"}, "a%0A=<b>%00%FF"},
		{map[string]string{"a": strings.Repeat("é", 1000)}, "a=" + strings.Repeat("é", 511) + "…"},
	} {
		if got := gateway.TagsText(tt.tags); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.tags, got, tt.want)
		}
	}
}

func TestSomeTags(t *testing.T) {
	few := map[string]string{"b": "2", "a": "1"}
	if got := gateway.SomeTags(few); !maps.Equal(got, few) {
		t.Errorf("of a few tags %v", got)
	}
	many := map[string]string{}
	for i := range transport.MaxTags {
		many[fmt.Sprintf("tag-%02d", i)] = strings.Repeat("x", 250)
	}
	got := gateway.SomeTags(many)
	if len(got) != 5 || got["tag-03"] == "" || got["…"] != "60 more" {
		t.Errorf("of many tags %v", got)
	}
}
