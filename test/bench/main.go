// Command bench measures what the tunnel costs: requests per second, latency and
// CPU time per request of the gateway and the agent, on both carriers, beside a
// plain chain of two reverse proxies.
//
//	go run ./test/bench            # below three minutes
//	go run ./test/bench -quick     # below forty seconds, rougher
//
// Everything runs as processes of its own on the loopback interface:
//
//	callers ─▶ proxy ─▶ proxy ─▶ origin              chain: httputil.ReverseProxy twice, HTTP/1.1 in clear
//	callers ─▶ vcs-gateway ═▶ vcs-agent ─▶ origin    quic and tcp: the released programs
//
// The gateway and the agent do all that they do in production: the allowlist is
// enforced, every request is logged to a file by both, and metrics are counted
// and served. The chain does none of it, nor does it encrypt.
//
// The systems take turns: each round measures every workload on every system, one
// right after the other, and a ratio to the chain is always one within a round,
// so that a machine that slows down meanwhile slows both. What's printed is the
// median of the rounds. CPU time is the kernel's count for each process, in
// nanoseconds; the callers and the origin aren't in it.
//
// -bin A,B measures several builds side by side, for trying a change:
//
//	go run ./test/bench -bin bin,/tmp/changed
//
// -request-log measures beside each gateway one that stores no requests in its
// database, for what that costs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The first argument of a process that the benchmark starts of itself.
const (
	roleOrigin = "origin" // and the bulk answer's size in bytes
	roleHop    = "hop"    // and the URL that it forwards to
)

func init() {
	// The kernel ends the children when the thread that started them dies.
	// main's goroutine starts them all and stays on the process's first thread.
	runtime.LockOSThread()
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns its exit code: 1 for a failure, 2 for a wrong
// command line.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(args) == 2 && args[0] == roleOrigin:
		err = serveOrigin(ctx, args[1], stdout)
	case len(args) == 2 && args[0] == roleHop:
		err = serveHop(ctx, args[1], stdout)
	default:
		var o options
		if o, err = parse(args, stderr); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return 0
			}
			fmt.Fprintln(stderr, "bench:", err)
			return 2
		}
		err = bench(ctx, o, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// options are what the command line says.
type options struct {
	builds     []string      // folders with vcs-gateway and vcs-agent; none builds them from the source
	rounds     int           // at the most; at least one is run
	bulk       int64         // bytes of the bulk answer
	limit      time.Duration // for one measurement, which then counts what it did
	requestLog bool          // beside each gateway one that stores no requests
	budget     time.Duration // after which no round is begun that might not end in it
}

const mebi = 1 << 20

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var quick bool
	var bin string
	var bulkMiB int64
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&quick, "quick", false, "measure for less than 40 s, not three minutes")
	f.StringVar(&bin, "bin", "", "`FOLDERS` with vcs-gateway and vcs-agent, separated by commas; they are built if none is given")
	f.BoolVar(&o.requestLog, "request-log", false, "measure gateways that store no requests too")
	f.IntVar(&o.rounds, "rounds", 0, "most `NUMBER` of rounds (7; with -quick 3)")
	f.Int64Var(&bulkMiB, "bulk", 0, "`MIB` of the bulk answer, at most 4096 (256; with -quick 64)")
	f.DurationVar(&o.limit, "limit", 0, "most `TIME` for one measurement (3s; with -quick 600ms)")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errors.New("see the usage above")
	}
	defaults := options{rounds: 7, bulk: 256 * mebi, limit: 3 * time.Second, budget: 150 * time.Second}
	if quick {
		defaults = options{rounds: 3, bulk: 64 * mebi, limit: 600 * time.Millisecond, budget: 30 * time.Second}
	}
	o.budget = defaults.budget
	var problems []error
	bad := func(given bool, format string, values ...any) {
		if given {
			problems = append(problems, fmt.Errorf(format, values...))
		}
	}
	bad(f.NArg() > 0, "%q is not understood: there are only flags", f.Args())
	bad(o.rounds < 0, "-rounds is %d: it must be 1 or more", o.rounds)
	bad(bulkMiB < 0 || bulkMiB > 4096, "-bulk is %d: it must be from 1 to 4096 MiB", bulkMiB)
	bad(o.limit < 0, "-limit is %s: it must be more than 0", o.limit)
	if o.rounds == 0 {
		o.rounds = defaults.rounds
	}
	if o.limit == 0 {
		o.limit = defaults.limit
	}
	if o.bulk = bulkMiB * mebi; o.bulk == 0 {
		o.bulk = defaults.bulk
	}
	for folder := range strings.SplitSeq(bin, ",") {
		if folder != "" {
			o.builds = append(o.builds, folder)
		}
	}
	return o, errors.Join(problems...)
}
