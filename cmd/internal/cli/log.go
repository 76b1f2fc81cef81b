package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"
)

// Log holds the settings log-level and log-format.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // json or text
}

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"json", "text"}
)

// AddLog declares log-level (info) and log-format (json) in group and fills l.
func (s *Settings) AddLog(group *pflag.FlagSet, l *Log) {
	group.StringVar(&l.Level, "log-level", "info", "least `LEVEL` to log: debug, info, warn or error")
	group.StringVar(&l.Format, "log-format", "json", "`FORMAT` of log lines on standard output: json or text")
	s.Complete("log-level", logLevels...)
	s.Complete("log-format", logFormats...)
}

// Logger returns a logger that writes one line per record to w, with the keys
// time, level (lower case) and msg first. It reports every wrong setting.
func (l Log) Logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	err := errors.Join(oneOf("log-level", l.Level, logLevels), oneOf("log-format", l.Format, logFormats))
	if err == nil {
		err = level.UnmarshalText([]byte(l.Level))
	}
	if err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: lowerLevel}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return slog.New(slog.NewJSONHandler(w, opts)), nil
}

func oneOf(setting, value string, allowed []string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return NewSettingError(setting, value, fmt.Sprintf("it must be one of %s", strings.Join(allowed, ", ")))
}

// lowerLevel writes levels as the settings spell them: "info", not "INFO".
func lowerLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
	}
	return a
}
