package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// aims are what CPU per request may be at most, as a multiple of the chain's, at
// maxCallers.
var aims = map[string]float64{"quic": 1.5, "tcp": 1.3}

// results holds every sample; print makes medians of them.
type results struct {
	systems   []*system
	workloads []workload
	rounds    int
	samples   map[cell][]sample // one per round
}

type cell struct{ system, workload string }

func newResults(systems []*system, all []workload) *results {
	return &results{systems: systems, workloads: all, samples: map[cell][]sample{}}
}

func (r *results) add(s *system, w workload, m sample) {
	c := cell{s.name, w.name}
	r.samples[c] = append(r.samples[c], m)
}

// median of what value makes of each round's sample.
func (r *results) median(s *system, w workload, value func(sample) float64) float64 {
	var values []float64
	for _, m := range r.samples[cell{s.name, w.name}] {
		values = append(values, value(m))
	}
	return median(values)
}

// ratio is the median of each round's CPU per request over the chain's in the
// same round.
func (r *results) ratio(s *system, w workload) float64 {
	chain := r.samples[cell{chainName, w.name}]
	var values []float64
	for i, m := range r.samples[cell{s.name, w.name}] {
		values = append(values, perRequest(m.front+m.back, m)/perRequest(chain[i].front+chain[i].back, chain[i]))
	}
	return median(values)
}

// perRequest is d's share of one request, in microseconds.
func perRequest(d time.Duration, m sample) float64 {
	return float64(d.Nanoseconds()) / 1e3 / float64(m.requests)
}

func (r *results) print(w io.Writer, o options) error {
	fmt.Fprintf(w, "vcs-agent benchmark: %s/%s, %s, %d CPUs, loopback, medians of %d rounds\n", runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU(), r.rounds)
	fmt.Fprintf(w, "congestion control: TCP %s (the kernel's), QUIC NewReno (the library's)\n", congestionControl())
	fmt.Fprintf(w, "chain is two plain reverse proxies on clear HTTP/1.1; quic and tcp are gateway and agent\nwith TLS, allowlist, logs of every request in files, and metrics\n")
	for i, folder := range o.builds {
		if len(o.builds) > 1 {
			fmt.Fprintf(w, "quic-%d and tcp-%d are of %s\n", i+1, i+1, folder)
		}
	}

	fmt.Fprintf(w, "\nSmall requests (%d-byte answers); CPU in µs per request\n", smallBytes)
	t := newTable(w, "callers", "system", "req/s", "p50 ms", "p99 ms", "gateway", "agent", "both", "x chain")
	for _, l := range r.workloads {
		if l.name == bulkName {
			continue
		}
		for _, s := range r.systems {
			of := func(value func(sample) float64) float64 { return r.median(s, l, value) }
			t.row(l.name, s.name,
				fmt.Sprintf("%.0f", of(func(m sample) float64 { return float64(m.requests) / m.elapsed.Seconds() })),
				fmt.Sprintf("%.2f", of(func(m sample) float64 { return m.p50.Seconds() * 1e3 })),
				fmt.Sprintf("%.2f", of(func(m sample) float64 { return m.p99.Seconds() * 1e3 })),
				fmt.Sprintf("%.0f", of(func(m sample) float64 { return perRequest(m.front, m) })),
				fmt.Sprintf("%.0f", of(func(m sample) float64 { return perRequest(m.back, m) })),
				fmt.Sprintf("%.0f", of(func(m sample) float64 { return perRequest(m.front+m.back, m) })),
				fmt.Sprintf("%.2f", r.ratio(s, l)))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := r.printBulk(w, o); err != nil {
		return err
	}
	if err := r.printMemory(w); err != nil {
		return err
	}
	return r.printAims(w)
}

func (r *results) printBulk(w io.Writer, o options) error {
	fmt.Fprintf(w, "\nBulk (one caller, %d MiB an answer); CPU in ms per MiB\n", o.bulk/mebi)
	t := newTable(w, "system", "MiB/s", "gateway", "agent", "both", "x chain")
	for _, l := range r.workloads {
		if l.name != bulkName {
			continue
		}
		perMiB := func(d time.Duration, m sample) float64 {
			return d.Seconds() * 1e3 / (float64(m.requests) * float64(l.bytes) / mebi)
		}
		for _, s := range r.systems {
			of := func(value func(sample) float64) float64 { return r.median(s, l, value) }
			t.row(s.name,
				fmt.Sprintf("%.0f", of(func(m sample) float64 { return float64(m.requests) * float64(l.bytes) / mebi / m.elapsed.Seconds() })),
				fmt.Sprintf("%.2f", of(func(m sample) float64 { return perMiB(m.front, m) })),
				fmt.Sprintf("%.2f", of(func(m sample) float64 { return perMiB(m.back, m) })),
				fmt.Sprintf("%.2f", of(func(m sample) float64 { return perMiB(m.front+m.back, m) })),
				fmt.Sprintf("%.2f", r.ratio(s, l)))
		}
	}
	return t.Flush()
}

func (r *results) printMemory(w io.Writer) error {
	fmt.Fprintf(w, "\nPeak resident memory over the whole run, in MiB\n")
	t := newTable(w, "system", "gateway", "agent")
	for _, s := range r.systems {
		front, err := s.front.peakMemory()
		if err != nil {
			return err
		}
		back, err := s.back.peakMemory()
		if err != nil {
			return err
		}
		t.row(s.name, fmt.Sprintf("%.1f", float64(front)/mebi), fmt.Sprintf("%.1f", float64(back)/mebi))
	}
	return t.Flush()
}

func (r *results) printAims(w io.Writer) error {
	fmt.Fprintln(w)
	for _, l := range r.workloads {
		if l.name == bulkName || l.callers != maxCallers {
			continue
		}
		for _, s := range r.systems {
			carrier, _, _ := strings.Cut(s.name, "-")
			aim, ok := aims[carrier]
			if !ok {
				continue
			}
			ratio, verdict := r.ratio(s, l), "met"
			if ratio > aim {
				verdict = "missed"
			}
			if _, err := fmt.Fprintf(w, "aim for %s at %d callers: at most %.1f times the chain's CPU per request: %.2f, %s\n", s.name, maxCallers, aim, ratio, verdict); err != nil {
				return err
			}
		}
	}
	return nil
}

// table aligns its columns to the right.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
	t.row(head...)
	return t
}

func (t table) row(cells ...string) {
	fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") // kept in memory until Flush, which tells of errors
}

// congestionControl is what the kernel's TCP uses where nothing else is asked for.
func congestionControl() string {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(b))
}
