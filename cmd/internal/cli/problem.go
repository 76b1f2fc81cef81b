package cli

import (
	"errors"
	"fmt"
	"strings"
)

// SettingError says which setting is wrong, what it was given and what it may
// be. Packages below cmd have such types of their own; whatever has a method
// SettingName gets the place where the value was set from [Settings.Invalid].
type SettingError struct {
	Setting string // its name as a flag without dashes, or an environment variable's
	Value   string // what it was given; "" prints none: a secret, or nothing was given
	Problem string // the rest of the sentence: what is wrong or what is allowed
}

// NewSettingError returns a [*SettingError].
func NewSettingError(setting, value, problem string) error {
	return &SettingError{setting, value, problem}
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

// SettingName returns the setting's name.
func (e *SettingError) SettingName() string { return e.Setting }

// Invalid makes err a usage error (see [Usage]) and adds to each problem that
// names a setting where its value came from: the user looks for it there. It
// returns nil for nil. Call it after [Settings.Load].
func (s *Settings) Invalid(err error) error { return Usage(s.Placed(err)) }

// Placed is [Settings.Invalid] for a program that goes on: no usage error.
func (s *Settings) Placed(err error) error {
	var told []error
	for _, p := range Problems(err) {
		told = append(told, s.withSource(p))
	}
	return errors.Join(told...)
}

func (s *Settings) withSource(p error) error {
	name := SettingName(p)
	if _, ok := p.(*fileError); ok || name == "" {
		return p
	}
	if src := s.sources[name]; src != "" {
		return fmt.Errorf("%w (from %s)", p, src)
	}
	if v := s.variable(name); v != "" {
		return fmt.Errorf("%w (environment: %s)", p, v)
	}
	return p
}

// Except returns err without the problems of settings that told names already:
// a setting whose value could not be read has its default, and what is wrong
// with that is not worth telling.
func Except(err, told error) error {
	names := map[string]bool{}
	for _, p := range Problems(told) {
		names[SettingName(p)] = true
	}
	delete(names, "")
	var left []error
	for _, p := range Problems(err) {
		if !names[SettingName(p)] {
			left = append(left, p)
		}
	}
	return errors.Join(left...)
}

// SettingName returns the setting that p blames, "" if none.
func SettingName(p error) string {
	var named interface{ SettingName() string }
	if errors.As(p, &named) {
		return named.SettingName()
	}
	return ""
}
