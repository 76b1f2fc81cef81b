package transport

import (
	"fmt"
	"log/slog"
)

// masked is what every [Secret] prints as.
const masked = "[masked]"

// Secret is a credential that masks itself wherever it is printed: fmt (all
// verbs), slog, JSON and YAML. Convert it with Reveal at the one place where
// the value itself is needed. The zero value is "no secret" and prints as an
// empty string, so that a missing setting is told from a hidden one.
type Secret string

// Reveal returns the credential itself. The caller owns keeping it out of
// logs, errors and URLs.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// Format implements fmt.Formatter: a verb that doesn't fit a string, such as %d,
// would print the value itself else, in the complaint about it.
func (s Secret) Format(f fmt.State, verb rune) {
	switch verb {
	case 'v', 's', 'q', 'x', 'X':
	default:
		verb = 's'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), s.String())
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler for JSON, YAML and the rest.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
