package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/cmd/internal/cli"
)

// policySettings are the settings that decide what is let through, and all that
// the commands below "rules" take. Each can be changed while the agent runs,
// but for the vendor and whether there is a credential.
var policySettings = []string{"vendor", "allowed-projects", "allow-groups", "policy", "rules-file", "vcs-credential", "vcs-credential-file", "config"}

// What --policy may be.
const (
	enforce = "enforce"
	observe = "observe"
)

// maxRulesFile bounds a file of rules, in bytes; each of ours has some 20 KiB.
const maxRulesFile = cli.MaxConfigFile

// policyOptions are the settings that become [allow.Options].
type policyOptions struct {
	vendor    string
	projects  string
	groups    []string
	mode      string
	rulesFile string
	inline    *cli.Section // the configuration file's own rules

	rulesSum fingerprint // of what rulesFile held when options read it
}

func (o *policyOptions) declareVendor(f *pflag.FlagSet) {
	f.StringVar(&o.vendor, "vendor", "", "`VENDOR` of the VCS: "+strings.Join(allow.Vendors(), ", "))
}

func (o *policyOptions) declare(s *cli.Settings, f *pflag.FlagSet) {
	f.StringVar(&o.projects, "allowed-projects", ".*", "`REGEXP` that a project, in the form group/repository, must match as a whole")
	f.StringSliceVar(&o.groups, "allow-groups", allow.DefaultGroups, "`GROUPS` of calls to allow, of "+strings.Join(allow.Groups(), ","))
	f.StringVar(&o.mode, "policy", enforce, "`MODE`: enforce, or observe, which lets through, and tells, what no rule allows")
	f.StringVar(&o.rulesFile, "rules-file", "", "YAML `FILE` with rules of your own; they can also stand under the key rules of the --config file")
	o.inline = s.Section("rules")
	s.Complete("vendor", allow.Vendors()...)
	s.Complete("policy", enforce, observe)
}

// options reads the rules and returns what the policy is made of, with every
// problem that shows before it's compiled. credential says that the agent has
// one of its own.
func (o *policyOptions) options(credential bool) (allow.Options, error) {
	rules, err := o.rules()
	if o.mode != enforce && o.mode != observe {
		err = errors.Join(cli.NewSettingError("policy", o.mode, "it must be one of "+enforce+", "+observe), err)
	}
	return allow.Options{
		Vendor: o.vendor, Groups: o.groups, Projects: o.projects,
		Rules: rules, Observe: o.mode == observe, Credential: credential,
	}, err
}

// rules returns the customer's own, nil if there are none.
func (o *policyOptions) rules() (*allow.Rules, error) {
	if o.rulesFile == "" {
		if o.inline.Node == nil {
			return nil, nil
		}
		return allow.RulesOf(o.inline.File, o.inline.Node)
	}
	text, err := cli.ReadFile(o.rulesFile, maxRulesFile)
	o.rulesSum = sum(text)
	switch {
	case o.inline.Node != nil:
		err = fmt.Errorf("the key rules of %s is given too, and only one of them can count", o.inline.File)
	case err == nil && len(bytes.TrimSpace(text)) == 0:
		// What blocked something a moment ago must not be gone because a disk is full.
		err = errors.New("the file is empty; a file that adds no rule has {}")
	}
	if err != nil {
		return nil, cli.NewSettingError("rules-file", o.rulesFile, err.Error())
	}
	return allow.ParseRules(filepath.Base(o.rulesFile), text)
}

// checkPolicy returns what is wrong with the policy's options, as the agent
// itself tells it when it starts.
func checkPolicy(o allow.Options) error {
	cfg := agent.Config{Policy: o}
	var left []error
	for _, p := range cli.Problems(cfg.Validate()) {
		// All else is missing here, the credential itself too.
		if name := cli.SettingName(p); name == "" || slices.Contains([]string{"vendor", "allowed-projects", "allow-groups", "rules-file"}, name) {
			left = append(left, p)
		}
	}
	return errors.Join(left...)
}

// fingerprint tells contents of a file apart. The zero value is that of a file
// that isn't named or can't be read.
type fingerprint [sha256.Size]byte

// sum returns the fingerprint of what [cli.ReadFile] returned.
func sum(text []byte) fingerprint {
	if text == nil {
		return fingerprint{}
	}
	return sha256.Sum256(text)
}
