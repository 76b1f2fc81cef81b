package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"time"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/cmd/internal/cli"
	"vcsagent/transport"
)

// How often the files are looked at, and how long a change must have stood still
// before it counts: a file that is being written, or is gone for a moment while
// another takes its place, is no policy.
const (
	lookInterval   = 2 * time.Second
	settleInterval = 500 * time.Millisecond
)

// reloader reads the settings of the policy, and the VCS's credential, anew while
// the agent runs: on SIGHUP, and when one of the files that hold them has changed.
//
// Files are compared by their content. Notifications of the system would miss
// what changes behind the symbolic links of Kubernetes' ConfigMaps and Secrets, on
// NFS, and after an editor has renamed its copy into place.
type reloader struct {
	started *cli.Settings // as the agent was started with
	current *options      // the last that could be read
	applied contents
	vendor  string // never changes while the agent runs

	credential *agent.Credential // nil: callers have their own
	line       transport.Secret  // that credential has now
	changes    chan<- agent.PolicyChange
	restart    []string // settings that were told to need one

	scrub *scrubber
	log   *slog.Logger
}

// contents are those of the files that are watched.
type contents struct{ config, rules, credential fingerprint }

// newReloader returns the reloader of an agent that was started with o, loaded
// by s. The files' contents are those that o was read from, so that no change since
// then is missed.
func newReloader(o *options, s *cli.Settings, changes chan<- agent.PolicyChange, scrub *scrubber) *reloader {
	return &reloader{
		started: s, current: o, applied: contents{sum(s.ConfigFile().Text), o.policy.rulesSum, o.credential.fileSum},
		vendor: o.policy.vendor, credential: o.agent.Credential, line: o.credential.read, changes: changes, scrub: scrub, log: o.agent.Logger,
	}
}

// watch reads anew what changed, and everything on a hangup, until ctx is done.
func (r *reloader) watch(ctx context.Context, hangups <-chan os.Signal) {
	timer := time.NewTimer(lookInterval)
	defer timer.Stop()
	last := r.applied // what the look before this one saw
	for {
		next := lookInterval
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			r.log.Info("reading the policy's settings again", "cause", "SIGHUP")
			r.reload(ctx)
		case <-timer.C:
			now := r.look()
			switch {
			case now == r.applied:
			case now != last:
				next = settleInterval
			case now.config == r.applied.config && now.rules == r.applied.rules:
				r.rotate()
			default:
				r.log.Info("reading the policy's settings again", "cause", "a file changed")
				r.reload(ctx)
			}
			last = now
		}
		timer.Reset(next)
	}
}

// look returns the contents as they are now.
func (r *reloader) look() contents {
	return contents{
		config:     fingerprintOf(r.started.ConfigFile().Path, cli.MaxConfigFile, r.applied.config),
		rules:      fingerprintOf(r.current.policy.rulesFile, maxRulesFile, r.applied.rules),
		credential: fingerprintOf(r.current.credential.file, cli.MaxSecretFile, r.applied.credential),
	}
}

// fingerprintOf looks at a file that was seen with the fingerprint before. What is
// no file, such as a pipe, can't be read twice and never changes.
func fingerprintOf(path string, maxBytes int, before fingerprint) fingerprint {
	if path == "" {
		return fingerprint{}
	}
	if err := readableAgain(path); errors.Is(err, errNoFile) {
		return before
	}
	text, err := cli.ReadFile(path, maxBytes)
	if err != nil {
		return fingerprint{}
	}
	return sum(text)
}

var errNoFile = errors.New("it is no regular file, so it can't be read again")

// readableAgain refuses what would block whoever reads it a second time.
func readableAgain(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return errNoFile
	}
	return nil // whatever else is wrong shows when it's read
}

// reload reads all settings anew, gives the agent the policy's, or what is wrong
// with them, and takes the credential that they name.
func (r *reloader) reload(ctx context.Context) {
	fresh := new(options)
	settings := fresh.declare()
	change := agent.PolicyChange{}

	config := r.started.ConfigFile().Path
	if err := readableAgain(config); err != nil {
		change.Err = cli.NewSettingError("config", config, err.Error())
	} else {
		err = settings.LoadLike(r.started)
		r.applied.config = sum(settings.ConfigFile().Text)
		if err != nil {
			change.Err = settings.Placed(err)
		}
	}
	if change.Err == nil {
		r.current = fresh
		r.tellRestart(settings)
		change.Options, change.Err = r.policyOf(fresh, settings)
	} else {
		// The rules may have changed too; they count once the file does.
		r.applied.rules = r.look().rules
	}
	r.rotate()
	select {
	case r.changes <- change:
	case <-ctx.Done():
	}
}

func (r *reloader) policyOf(fresh *options, settings *cli.Settings) (o allow.Options, err error) {
	if err = readableAgain(fresh.policy.rulesFile); err != nil {
		return o, settings.Placed(cli.NewSettingError("rules-file", fresh.policy.rulesFile, err.Error()))
	}
	o, err = fresh.policy.options(r.credential != nil)
	r.applied.rules = fresh.policy.rulesSum
	if err != nil {
		// All at once, as at the start.
		err = settings.Placed(errors.Join(err, cli.Except(checkPolicy(o), err)))
	}
	return o, err
}

// rotate takes the credential that the current settings name, if it's another.
func (r *reloader) rotate() {
	if r.credential == nil {
		return
	}
	c := &r.current.credential
	err := c.again()
	r.applied.credential = c.fileSum
	if err == nil && c.read == r.line {
		return
	}
	if err == nil {
		r.scrub.add(credentialSecrets(c.read)...)
		if err = r.credential.Set(c.read); err != nil {
			err = c.bad(err)
		}
	}
	if err != nil {
		r.log.Error("VCS credential not changed: the one before stays in use", "problem", r.scrub.text(err.Error()))
		return
	}
	r.line = c.read
	if name := r.credential.Unusual(r.vendor); name != "" {
		r.log.Warn("VCS credential changed, to a header in which this vendor takes no credentials; is it misspelt?", "setting", c.setting(), "header", name)
		return
	}
	r.log.Info("VCS credential changed", "setting", c.setting())
}

// tellRestart logs which settings are not as the agent was started with and
// can't be taken while it runs, unless it has logged just that.
func (r *reloader) tellRestart(settings *cli.Settings) {
	names := slices.DeleteFunc(settings.Differing(r.started), func(name string) bool { return slices.Contains(policySettings, name) })
	if given := r.current.credential.given(); given != (r.credential != nil) {
		names = append(names, "vcs-credential")
	}
	if len(names) > 0 && !slices.Equal(names, r.restart) {
		r.log.Warn("settings changed that count only after a restart", "settings", names)
	}
	r.restart = names
}
