package main

import (
	"encoding/base64"
	"strings"

	"github.com/spf13/pflag"

	"vcsagent/cmd/internal/cli"
	"vcsagent/transport"
)

// credentialOptions are the settings of the VCS's credential that the agent adds
// to requests itself: a line "Header-Name: value".
type credentialOptions struct {
	line transport.Secret
	file string

	read    transport.Secret // the line, wherever it came from; load fills it
	fileSum fingerprint      // of what file held then
}

func (o *credentialOptions) declare(f *pflag.FlagSet) {
	cli.SecretVar(f, &o.line, "vcs-credential", "`HEADER` with a credential, such as \"Private-Token: …\", that the agent adds to requests in place of callers; prefer the variable or a file")
	f.StringVar(&o.file, "vcs-credential-file", "", "`FILE` that holds that line; it is read again when it changes")
}

// given tells whether the agent has a credential of its own.
func (o *credentialOptions) given() bool { return o.line != "" || o.file != "" }

// setting is the one that gives the credential.
func (o *credentialOptions) setting() string {
	if o.file != "" {
		return "vcs-credential-file"
	}
	return "vcs-credential"
}

// load reads the line.
func (o *credentialOptions) load() error {
	if o.file == "" {
		o.read = o.line
		return nil
	}
	text, err := cli.ReadFile(o.file, cli.MaxSecretFile)
	o.fileSum = sum(text)
	if o.line != "" {
		return cli.NewSettingError("vcs-credential-file", o.file, "--vcs-credential is given too, and only one of them can count")
	}
	if err != nil {
		return o.bad(err)
	}
	// agent.Credential says what is wrong with an empty one.
	o.read = transport.Secret(strings.TrimRight(string(text), "\r\n"))
	return nil
}

// again is load while the agent runs.
func (o *credentialOptions) again() error {
	if !o.given() {
		return cli.NewSettingError("vcs-credential", "", "it is not given any more; the agent does without only after a restart")
	}
	if err := readableAgain(o.file); err != nil {
		return o.bad(err)
	}
	return o.load()
}

// bad is a problem of the credential. The line itself is never told.
func (o *credentialOptions) bad(err error) error {
	return cli.NewSettingError(o.setting(), o.file, err.Error())
}

// credentialSecrets returns the parts of a credential's line that must not show
// anywhere.
func credentialSecrets(line transport.Secret) []string {
	_, value, _ := strings.Cut(line.Reveal(), ":")
	value = strings.TrimSpace(value)
	secrets := []string{line.Reveal(), value}
	scheme, token, ok := strings.Cut(value, " ")
	if !ok {
		return secrets
	}
	token = strings.TrimSpace(token)
	secrets = append(secrets, token)
	if strings.EqualFold(scheme, "Basic") {
		if pair, err := base64.StdEncoding.DecodeString(token); err == nil {
			_, password, _ := strings.Cut(string(pair), ":")
			secrets = append(secrets, string(pair), password)
		}
	}
	return secrets
}
