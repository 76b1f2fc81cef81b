package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one setting of a configuration file.
type entry struct {
	key   string
	value any    // string, or []string for a list
	place string // "agent.yaml, line 3"
}

// fileError is what is wrong with a key of a configuration file, place included.
type fileError struct{ key, sentence string }

func (e *fileError) Error() string       { return e.sentence }
func (e *fileError) SettingName() string { return e.key }

// Section is a key of the configuration file that is neither flag nor variable
// and holds settings of its own, whatever form they have.
type Section struct {
	File string     // the file's name, without its folders
	Node *yaml.Node // what stands behind the key, lines intact; nil if the file doesn't have it
}

// Section declares a key of the configuration file. [Settings.Load] fills what
// it returns.
func (s *Settings) Section(name string) *Section {
	sec := new(Section)
	s.sections[name] = sec
	return sec
}

// parseYAML reads a configuration file: one mapping from known settings to
// scalars or lists of scalars. It returns the good entries and every problem,
// and fills the sections.
//
// Values are the texts as written, not YAML's idea of their type: a key of
// digits alone is no number, and 010 is not 8. The setting's own type parses
// them. Decoding into a map, as viper does, would lose that, the keys' case and
// the line numbers.
func parseYAML(path string, text []byte, known []string, sections map[string]*Section) ([]entry, error) {
	file := filepath.Base(path)
	known = slices.AppendSeq(slices.Clone(known), maps.Keys(sections))
	root, err := onlyDocument(text)
	if err != nil {
		return nil, NewSettingError("config", path, err.Error())
	}
	if root == nil {
		return nil, nil // an empty file, or comments alone
	}
	if root.Kind != yaml.MappingNode {
		return nil, NewSettingError("config", path, "it must hold settings as \"name: value\" lines")
	}
	var entries []entry
	var problems []error
	firstLine := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, place := root.Content[i].Value, fmt.Sprintf("%s, line %d", file, root.Content[i].Line)
		bad := func(format string, args ...any) {
			problems = append(problems, &fileError{key, fmt.Sprintf("%s: %s %s", place, shorten(key), fmt.Sprintf(format, args...))})
		}
		if !slices.Contains(known, key) {
			bad("is not a setting%s", didYouMean(key, known))
			continue
		}
		if line := firstLine[key]; line != 0 {
			bad("is set again (first in line %d)", line)
			continue
		}
		firstLine[key] = root.Content[i].Line
		if sec := sections[key]; sec != nil {
			if node := resolve(root.Content[i+1]); node.Tag == "!!null" {
				bad("%v", errNoValue)
			} else {
				*sec = Section{file, node}
			}
			continue
		}
		value, err := nodeValue(root.Content[i+1])
		if err != nil {
			bad("%v", err)
			continue
		}
		entries = append(entries, entry{key, value, place})
	}
	return entries, errors.Join(problems...)
}

// onlyDocument returns the root of a file's one document, nil if it's empty.
func onlyDocument(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, notYAML(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, fmt.Errorf("it must hold one YAML document, and a second begins in line %d", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, notYAML(err)
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	return root, nil
}

func notYAML(err error) error {
	return fmt.Errorf("it is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
}

func nodeValue(n *yaml.Node) (any, error) {
	n = resolve(n)
	switch n.Kind {
	case yaml.ScalarNode:
		return scalar(n)
	case yaml.SequenceNode:
		list := []string{}
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("must be a list of plain values, and line %d is none", item.Line)
			}
			text, err := scalar(item)
			if err != nil {
				return nil, err
			}
			list = append(list, text)
		}
		return list, nil
	default:
		return nil, errors.New("takes a value or a list, not settings of its own")
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

var errNoValue = errors.New("has no value: give it one, or take the line out")

// scalar refuses null: "allowed-projects:" with nothing behind it looks like a
// restriction and would be none.
func scalar(n *yaml.Node) (string, error) {
	if n.Tag == "!!null" {
		return "", errNoValue
	}
	return n.Value, nil
}

func didYouMean(given string, known []string) string {
	if near := nearest(given, known); near != "" {
		return fmt.Sprintf(": did you mean %s?", near)
	}
	return ""
}
