package agent

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vcsagent/allow"
	"vcsagent/transport"
)

// Config is everything the agent needs to know. Only cmd/vcs-agent fills it
// from flags, environment and file.
type Config struct {
	TargetBaseEndpoint string           // the VCS: scheme, host, optional port and context path; required
	Token              transport.Secret // the pool's token, encoded; required
	Policy             allow.Options    // what the VCS may be asked; its Vendor is required
	Parallelism        int              // numbered streams, 1 to transport.MaxParallelism
	Transport          transport.Mode   // how to reach the gateway; "" means auto
	DebugPrintAll      bool             // log every request and response, secrets masked

	// PolicyChanges gives the policy's settings whenever they were read anew; nil
	// never does. A change that can't be used leaves the policy as it is.
	PolicyChanges <-chan PolicyChange
	// Credential is what the agent adds to requests to the VCS itself; nil leaves
	// that to callers. Policy.Credential must say the same.
	Credential *Credential

	CACert        string // base64 of a PEM bundle that the VCS's certificate may chain to, beside the system's roots; "" adds none
	CACertFile    string // the same from a PEM file; "" adds none
	GatewayCAFile string // PEM roots for the gateway's certificate in place of the system's; "" uses the token's pin or the system's

	DisableResponseCompression bool // ask the VCS for identity encoding

	MetricsListen       string        // host:port of /metrics, /livez and /readyz; "" serves none
	VCSTimeout          time.Duration // to the VCS's response headers; more than 0
	ShutdownGracePeriod time.Duration // how long requests in flight may take to end after SIGTERM; 0 cuts them at once

	Metadata map[string]string // tags that tell this agent from others, at most transport.MaxTags

	Version string       // the software's version, for the hello and the build metric
	Logger  *slog.Logger // where lifecycle and request lines go; nil means slog.Default()

	TransportLogger *slog.Logger // where the transport's own detail goes, at debug level; nil means Logger

	// Report is called with panics and fatal errors for an error tracker;
	// nil reports nowhere. It must not block for long.
	Report func(err error)
}

// SettingError says which setting is wrong, what it was given and what it may
// be. [Config.Validate] returns them for what the values themselves show, [New]
// and [Agent.Run] for what only shows on use, such as a taken port.
type SettingError struct {
	Setting string // the setting's name without dashes, as in metrics-listen
	Value   string // what it was given, secrets masked; "" prints none
	Problem string // the rest of the sentence: what is wrong or what is allowed
}

// Error returns the sentence: --parallelism is "0": it must be from 1 to 256.
func (e *SettingError) Error() string {
	name := e.Setting
	if name == strings.ToLower(name) { // environment variables have capitals
		name = "--" + name
	}
	if e.Value == "" {
		return fmt.Sprintf("%s: %s", name, e.Problem)
	}
	return fmt.Sprintf("%s is %q: %s", name, e.Value, e.Problem)
}

// SettingName returns the setting's name, for commands that know where it was
// set.
func (e *SettingError) SettingName() string { return e.Setting }

// metadataPrefix is how the environment variables that Metadata comes from begin.
const metadataPrefix = "SPACELIFT_METADATA_"

// Validate reports everything that is wrong with the values, at once: it
// returns nil or the join of one [*SettingError] for each problem. It reads no
// file and opens nothing; of CACertFile and GatewayCAFile it says nothing (see
// [ParseCABundle]).
func (c *Config) Validate() error {
	v := validation{}
	v.endpoint(c.TargetBaseEndpoint)
	v.token(c.Token)
	v.policy(c.Policy)
	v.credential(c)
	if c.Parallelism < 1 || c.Parallelism > transport.MaxParallelism {
		v.bad("parallelism", strconv.Itoa(c.Parallelism), "it must be from 1 to %d", transport.MaxParallelism)
	}
	switch c.Transport {
	case "", transport.ModeAuto, transport.ModeQUIC, transport.ModeTCP:
	default:
		v.bad("transport", string(c.Transport), "it must be one of %s, %s, %s", transport.ModeAuto, transport.ModeQUIC, transport.ModeTCP)
	}
	v.caCert(c.CACert)
	v.listen("metrics-listen", c.MetricsListen)
	if c.VCSTimeout <= 0 {
		v.bad("vcs-timeout", c.VCSTimeout.String(), "it must be more than 0, such as 60s")
	}
	if c.ShutdownGracePeriod < 0 {
		v.bad("shutdown-grace-period", c.ShutdownGracePeriod.String(), "it must be 0 or more, such as 30s")
	}
	v.metadata(c.Metadata)
	return errors.Join(v.problems...)
}

type validation struct{ problems []error }

func (v *validation) bad(setting, value, format string, args ...any) {
	v.problems = append(v.problems, &SettingError{setting, value, fmt.Sprintf(format, args...)})
}

// endpoint wants a base that any path can be put behind, and nothing that each
// request would have to carry along.
func (v *validation) endpoint(raw string) {
	const setting, example = "target-base-endpoint", "https://gitlab.example.com"
	shown := maskURL(raw)
	if raw == "" {
		v.bad(setting, "", "no VCS is named: give its base URL, such as %s", example)
		return
	}
	if !strings.Contains(raw, "://") {
		v.bad(setting, shown, "it has no scheme: it must begin with http:// or https://, such as %s", example)
		return
	}
	u, err := url.Parse(raw)
	if err != nil {
		v.bad(setting, shown, "it is not a URL%s", parseDetail(raw, err))
		return
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		v.bad(setting, shown, "its scheme must be http or https")
	}
	if u.Hostname() == "" {
		v.bad(setting, shown, "it names no host")
	}
	if p := u.Port(); !validPort(p, 1) && (p != "" || strings.HasSuffix(u.Host, ":")) {
		v.bad(setting, shown, "its port must be a number from 1 to 65535")
	}
	if u.User != nil {
		v.bad(setting, shown, "it must not hold a user or password: callers send the VCS their own credentials")
	}
	if strings.Contains(raw, "?") {
		v.bad(setting, shown, "it must not have a query")
	}
	if strings.Contains(raw, "#") {
		v.bad(setting, shown, "it must not have a fragment")
	}
	if p := strings.TrimSuffix(u.Path, "/"); u.RawPath != "" || (p != "" && path.Clean(p) != p) {
		v.bad(setting, shown, "its path must be plain: no dot segments, doubled slashes or escapes")
	}
}

// parseDetail is what [url.Parse] said, less the URL itself; nothing when that
// might quote a password.
func parseDetail(raw string, err error) string {
	ue, ok := errors.AsType[*url.Error](err)
	if !ok || strings.Contains(raw, "@") {
		return ""
	}
	return fmt.Sprintf(" (%v)", ue.Err)
}

// policy checks what package allow compiles. Each setting is looked at alone
// first, for a sentence of its own; what allow refuses beyond that is told as
// it says it.
func (v *validation) policy(o allow.Options) {
	before := len(v.problems)
	vendors := strings.Join(allow.Vendors(), ", ")
	if o.Vendor == "" {
		v.bad("vendor", "", "no vendor is named: it must be one of %s", vendors)
	} else if !slices.Contains(allow.Vendors(), o.Vendor) {
		v.bad("vendor", o.Vendor, "it must be one of %s", vendors)
	}
	if _, err := regexp.Compile(o.Projects); err != nil {
		v.bad("allowed-projects", o.Projects, "it is not a regular expression (%s)", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	for _, g := range o.Groups {
		if !slices.Contains(allow.Groups(), g) {
			v.bad("allow-groups", strings.Join(o.Groups, ","), "there is no group %q; the groups are %s", g, strings.Join(allow.Groups(), ", "))
		}
	}
	if len(v.problems) > before {
		return
	}
	if _, err := allow.New(o); err != nil {
		v.problems = append(v.problems, err)
	}
}

// credential wants the policy and the agent to agree: with one that isn't stripped
// and one that isn't added, a caller's credential would be sent, or none.
func (v *validation) credential(c *Config) {
	switch {
	case c.Credential != nil && c.Credential.load() == nil:
		v.bad("vcs-credential", "", "none is given")
	case c.Policy.Credential != (c.Credential != nil):
		v.bad("vcs-credential", "", "policy and agent must agree on whether the agent adds the VCS's credential")
	}
}

func (v *validation) token(t transport.Secret) {
	if t == "" {
		v.bad("token", "", "no token is given: give the pool's token, or with --token-file a file that holds it")
		return
	}
	if _, err := transport.ParseToken(t.Reveal()); err != nil {
		v.bad("token", t.String(), "%v", err)
	}
}

// caCert checks the bundle that comes as base64 of PEM.
func (v *validation) caCert(encoded string) {
	if encoded == "" {
		return
	}
	if strings.Contains(encoded, "-----BEGIN") {
		v.bad("ca-cert", "", "it is PEM itself, and must be the base64 of it; or name the file with --ca-cert-file")
		return
	}
	encoded = strings.TrimRight(strings.Join(strings.Fields(encoded), ""), "=")
	bundle, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		v.bad("ca-cert", "", "it is not base64 (was it copied whole?)")
		return
	}
	if _, err := ParseCABundle(bundle); err != nil {
		v.bad("ca-cert", "", "the base64 holds no usable bundle: %v", err)
	}
}

// ParseCABundle returns the certificates of a PEM bundle, at least one. Text
// between the blocks and blocks of other types are ignored; a certificate that
// cannot be read is an error, since the missing root would only show as a failed
// handshake later. Errors complete a sentence that names the bundle.
func ParseCABundle(bundle []byte) ([]*x509.Certificate, error) {
	const begin = "-----BEGIN CERTIFICATE-----"
	announced := strings.Count(string(bundle), begin)
	var certs []*x509.Certificate
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the bundle cannot be read (%w)", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) < announced {
		return nil, fmt.Errorf("the bundle begins %d certificates, and only %d are whole", announced, len(certs))
	}
	if len(certs) == 0 {
		return nil, errors.New("no PEM certificate is in it")
	}
	return certs, nil
}

// listen accepts host:port, :port and port 0 (any free one); "" is "nowhere".
func (v *validation) listen(setting, address string) {
	if address == "" {
		return
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil || !validPort(port, 0) {
		v.bad(setting, address, "it must be HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:9464")
	}
}

func validPort(s string, least int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= least && n <= 65535
}

// metadata keeps the tags within what the session exchange carries.
func (v *validation) metadata(tags map[string]string) {
	if len(tags) > transport.MaxTags {
		v.bad(metadataPrefix+"*", strconv.Itoa(len(tags))+" tags", "at most %d can be sent", transport.MaxTags)
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		value := tags[name]
		switch {
		case name == "":
			v.bad(metadataPrefix, "", "the tag's name, what follows the prefix, is empty")
		case len(name) > transport.MaxTagBytes || !utf8.ValidString(name):
			v.bad(metadataPrefix+strings.ToValidUTF8(name[:min(len(name), 20)], "?")+"…", "", "the tag's name must be UTF-8 of at most %d bytes", transport.MaxTagBytes)
		case len(value) > transport.MaxTagBytes || !utf8.ValidString(value):
			v.bad(metadataPrefix+name, "", "its value has %d bytes, and must be UTF-8 of at most %d", len(value), transport.MaxTagBytes)
		}
	}
}

// maskURL hides the parts of a URL that may be secret: user and password, query
// and fragment. It works on text, since what is shown may be no URL at all.
func maskURL(s string) string {
	const masked = "[masked]"
	scheme, rest := "", s
	if i := strings.Index(s, "://"); i >= 0 {
		scheme, rest = s[:i+len("://")], s[i+len("://"):]
	}
	at, tail := strings.LastIndex(rest, "@"), strings.IndexAny(rest, "?#")
	if tail >= 0 && at > tail { // a password with ? or a query with @: hide both
		return scheme + masked
	}
	if tail >= 0 && tail+1 < len(rest) {
		rest = rest[:tail+1] + masked
	}
	if at >= 0 {
		rest = masked + rest[at:]
	}
	return scheme + rest
}
