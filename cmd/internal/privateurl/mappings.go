package privateurl

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Variables of the environment, each with a number behind it. Workers have them
// set already: both names are part of what we must keep.
const (
	nameVariable     = "SPACELIFT_PRIVATEVCS_MAPPING_NAME_"
	endpointVariable = "SPACELIFT_PRIVATEVCS_MAPPING_BASE_ENDPOINT_"
)

// Mappings are the pools whose VCS is reached directly, by name. The zero value
// has none.
type Mappings struct{ byName map[string]mapping }

type mapping struct {
	endpoint string // checked, without slashes at its end
	variable string // the one that has the name
}

// FromEnviron reads the mappings from an environment (see [os.Environ]): the pool
// named by SPACELIFT_PRIVATEVCS_MAPPING_NAME_<N> has its VCS at
// SPACELIFT_PRIVATEVCS_MAPPING_BASE_ENDPOINT_<N>, for any numbers N. A variable
// that is set but empty counts as not set. All that is wrong is told at once
// (see [errors.Join]).
//
// A name that no pool can have maps nothing: the variables are for other programs
// too, whose pools may be named otherwise.
func FromEnviron(environ []string) (Mappings, error) {
	names, endpoints := map[string]string{}, map[string]string{} // by number
	var problems []error
	for _, e := range environ {
		variable, value, _ := strings.Cut(e, "=")
		if value == "" {
			continue
		}
		for prefix, into := range map[string]map[string]string{nameVariable: names, endpointVariable: endpoints} {
			number, is := strings.CutPrefix(variable, prefix)
			switch {
			case !is:
			case !isNumber(number):
				problems = append(problems, fmt.Errorf("%s has no effect: its name must end with a number, such as %s0", variable, prefix))
			default:
				into[number] = value
			}
		}
	}
	m := Mappings{map[string]mapping{}}
	for _, n := range numbers(names, endpoints) {
		problems = append(problems, m.add(n, names[n], endpoints[n]))
	}
	if err := errors.Join(problems...); err != nil {
		return Mappings{}, err
	}
	return m, nil
}

// add adds what the two variables with a number say; "" stands for one that is
// missing.
func (m Mappings) add(number, name, endpoint string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s%s is set and %s%s is missing: a mapping needs both", endpointVariable, number, nameVariable, number)
	case endpoint == "":
		return fmt.Errorf("%s%s is set and %s%s is missing: a mapping needs both", nameVariable, number, endpointVariable, number)
	}
	checked, err := CheckEndpoint(endpoint)
	if err != nil {
		return fmt.Errorf("%s%s: %w", endpointVariable, number, err)
	}
	variable := nameVariable + number
	if other, exists := m.byName[name]; exists && other.endpoint != checked {
		return fmt.Errorf("%s and %s both name %q, with different base endpoints, %s and %s: keep one",
			other.variable, variable, shorten(name), other.endpoint, checked)
	}
	m.byName[name] = mapping{checked, variable}
	return nil
}

// lookup returns the base endpoint of a pool, if it has one. A mapping whose name
// differs by its letters' case alone is a mistake that would otherwise send
// requests another way than was meant.
func (m Mappings) lookup(pool string) (endpoint string, ok bool, err error) {
	if exact, ok := m.byName[pool]; ok {
		return exact.endpoint, true, nil
	}
	for _, name := range slices.Sorted(maps.Keys(m.byName)) {
		if strings.EqualFold(strings.TrimSpace(name), pool) {
			return "", false, fmt.Errorf("%s is %q: pools' names are in lower case and without spaces, write %s", m.byName[name].variable, name, pool)
		}
	}
	return "", false, nil
}

// numbers returns the keys of both maps in the order of their values as numbers.
func numbers(names, endpoints map[string]string) []string {
	all := maps.Clone(names)
	maps.Copy(all, endpoints)
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
