package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"time"

	"github.com/bugsnag/bugsnag-go/v2"
	"github.com/spf13/pflag"

	"vcsagent/cmd/internal/cli"
	"vcsagent/transport"
)

// Bounds of what error reporting may cost.
const (
	reportQueue   = 16              // reports that wait; more are dropped
	reportTimeout = 5 * time.Second // for one report, and for all that wait when the process ends
	reportFrames  = 50              // of a stack, as many as Bugsnag's library keeps
)

type bugsnagOptions struct {
	key      transport.Secret
	disable  bool
	endpoint string
}

func (o *bugsnagOptions) declare(f *pflag.FlagSet) {
	cli.SecretVar(f, &o.key, "bugsnag-api-key", "`KEY` of the Bugsnag project to report panics and fatal errors to; without one nothing is sent")
	f.StringVar(&o.endpoint, "bugsnag-endpoint", "", "`URL` of a Bugsnag server of your own")
	f.BoolVar(&o.disable, "disable-bugsnag", false, "send no reports, whatever else is set")
}

func (o *bugsnagOptions) on() bool { return o.key != "" && !o.disable }

var bugsnagKey = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

func (o *bugsnagOptions) validate() error {
	if !o.on() {
		return nil
	}
	if !bugsnagKey.MatchString(o.key.Reveal()) {
		return cli.NewSettingError("bugsnag-api-key", o.key.String(), "it must be 32 hexadecimal digits")
	}
	if o.endpoint == "" {
		return nil
	}
	if u, err := url.Parse(o.endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return cli.NewSettingError("bugsnag-endpoint", maskUserinfo(o.endpoint), "it must be a URL with the scheme http or https and no user or password")
	}
	return nil
}

// reporter sends panics and fatal errors to Bugsnag, one after another, secrets
// taken out. A nil reporter sends nothing.
type reporter struct {
	notifier *bugsnag.Notifier
	scrub    *scrubber
	log      *slog.Logger
	http     *http.Transport
	queue    chan queuedReport
	closing  chan struct{}
	done     chan struct{} // closed when the sender has ended
	cancel   func()
}

type queuedReport struct {
	class string // the error's Go type, by which Bugsnag groups
	err   *scrubbedError
}

// scrubbedError is what Bugsnag's library sees of an error: it would send the
// texts of wrapped errors too, so it gets none.
type scrubbedError struct {
	message string
	callers []uintptr
}

func (e *scrubbedError) Error() string      { return e.message }
func (e *scrubbedError) Callers() []uintptr { return e.callers }

// newReporter returns nil if o has no key or disables reporting.
func newReporter(o bugsnagOptions, scrub *scrubber, log *slog.Logger) *reporter {
	if !o.on() {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background()) // ends what close doesn't wait for
	r := &reporter{
		scrub:   scrub,
		log:     log,
		http:    http.DefaultTransport.(*http.Transport).Clone(),
		queue:   make(chan queuedReport, reportQueue),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		cancel:  cancel,
	}
	// New, not Configure: that would read BUGSNAG_* from the environment and fork
	// a process that watches for panics.
	r.notifier = bugsnag.New(bugsnag.Configuration{
		APIKey:              o.key.Reveal(),
		Endpoints:           bugsnag.Endpoints{Notify: o.endpoint, Sessions: o.endpoint},
		AppType:             "vcs-agent",
		AppVersion:          cli.Version(),
		ReleaseStage:        "production",
		ProjectPackages:     []string{"main*", "vcsagent/**"},
		AutoCaptureSessions: false,
		PanicHandler:        func() {},
		Logger:              quiet{log},
		Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			return boundedTrip(ctx, r.http, req)
		}),
		Synchronous: true,
	})
	r.notifier.Config.Hostname = "" // names of machines inside a private network stay there
	go r.send()
	return r
}

// report queues err with the caller's stack and returns at once; during a
// panic that's the stack of the panic.
func (r *reporter) report(err error) {
	if r == nil || err == nil {
		return
	}
	callers := make([]uintptr, reportFrames)
	callers = callers[:runtime.Callers(2, callers)]
	select {
	case r.queue <- queuedReport{fmt.Sprintf("%T", err), &scrubbedError{r.scrub.text(err.Error()), callers}}:
	default:
		r.log.Warn("error report dropped", "reason", "too many are waiting")
	}
}

// close sends what waits, for [reportTimeout] at most, and ends the sender.
// Reports that come later are lost.
func (r *reporter) close() {
	if r == nil {
		return
	}
	close(r.closing)
	timeout := time.AfterFunc(reportTimeout, r.cancel)
	<-r.done
	timeout.Stop()
	r.cancel()
	r.http.CloseIdleConnections()
}

func (r *reporter) send() {
	defer close(r.done)
	for {
		select {
		case q := <-r.queue:
			r.deliver(q)
		case <-r.closing:
			for {
				select {
				case q := <-r.queue:
					r.deliver(q)
				default:
					return
				}
			}
		}
	}
}

func (r *reporter) deliver(q queuedReport) {
	if err := r.notifier.NotifySync(q.err, true, bugsnag.ErrorClass{Name: q.class}, bugsnag.SeverityError); err != nil {
		r.log.Warn("error report not sent", "error", r.scrub.text(err.Error()))
	}
}

// boundedTrip gives a report its time, less if ctx ends first, and keeps nothing
// of the answer: the library looks at the status alone.
func boundedTrip(ctx context.Context, next http.RoundTripper, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	resp, err := next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	const most = 64 << 10 // enough to use the connection again
	_, _ = io.CopyN(io.Discard, resp.Body, most)
	resp.Body.Close()
	resp.Body = http.NoBody
	return resp, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// quiet sends what Bugsnag's library logs about itself to the debug level.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("bugsnag", "detail", fmt.Sprintf(format, args...))
}
