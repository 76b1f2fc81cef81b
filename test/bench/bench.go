package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	chainName  = "chain"
	maxCallers = 64 // also the agent's parallelism
)

// workloads are what each round measures. The numbers of requests keep a
// measurement near a second on two cores.
func workloads(o options) []workload {
	all := []workload{{callers: 1, requests: 1500}, {callers: 16, requests: 6000}, {callers: maxCallers, requests: 8000}}
	for i := range all {
		all[i].name, all[i].path, all[i].bytes = strconv.Itoa(all[i].callers), smallPath, smallBytes
	}
	all = append(all, workload{name: bulkName, path: bulkPath, bytes: o.bulk, callers: 1, requests: 2})
	for i := range all {
		all[i].limit = o.limit
	}
	return all
}

const bulkName = "bulk"

// bench starts the systems, measures them in turn and prints what it found.
func bench(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	l, err := newLab(ctx, o.bulk)
	if err != nil {
		return err
	}
	defer func() {
		if interrupted := context.Cause(ctx); interrupted != nil && err != nil {
			err = interrupted // says more than what broke because of it
		}
		if stopped := l.stop(); err == nil {
			err = stopped
		}
	}()
	systems, err := l.systems(ctx, o)
	if err != nil {
		return err
	}
	all := workloads(o)
	results := newResults(systems, all)
	for began := time.Now(); results.rounds < o.rounds; results.rounds++ {
		if n := results.rounds; n > 0 && time.Since(began)*time.Duration(n+1)/time.Duration(n) > o.budget {
			break
		}
		fmt.Fprintf(stderr, "measuring, round %d of at most %d\n", results.rounds+1, o.rounds)
		if err := round(ctx, systems, all, results); err != nil {
			return err
		}
	}
	for _, s := range systems {
		if err := s.checkLog(); err != nil {
			return err
		}
		s.callers.CloseIdleConnections()
	}
	return results.print(stdout, o)
}

// round measures every workload on every system.
func round(ctx context.Context, systems []*system, all []workload, into *results) error {
	for _, w := range all {
		// Each round begins with another system, since the first after a change
		// of workload might be the worse or the better for it.
		for i := range systems {
			s := systems[(i+into.rounds)%len(systems)]
			m, err := s.measure(ctx, w)
			if err != nil {
				return errors.Join(err, ctx.Err())
			}
			into.add(s, w, m)
		}
	}
	return nil
}

// unstored is a gateway that keeps no requests in its database.
var unstored = []string{"--request-log-max-rows", "0"}

// systems starts the chain and, for each build, both carriers.
func (l *lab) systems(ctx context.Context, o options) ([]*system, error) {
	builds := o.builds
	if len(builds) == 0 {
		bin := filepath.Join(l.dir, "bin")
		if err := os.Mkdir(bin, 0o700); err != nil {
			return nil, err
		}
		if err := build(ctx, bin); err != nil {
			return nil, err
		}
		builds = []string{bin}
	}
	first, err := l.chain(ctx)
	if err != nil {
		return nil, err
	}
	all := []*system{first}
	for i, bin := range builds {
		for _, carrier := range []string{"quic", "tcp"} {
			name := carrier
			if len(builds) > 1 {
				name += "-" + strconv.Itoa(i+1) // by its place in -bin
			}
			s, err := l.tunnel(ctx, name, bin, carrier)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
			if !o.requestLog {
				continue
			}
			if s, err = l.tunnel(ctx, name+"-unstored", bin, carrier, unstored...); err != nil {
				return nil, err
			}
			all = append(all, s)
		}
	}
	return all, nil
}
