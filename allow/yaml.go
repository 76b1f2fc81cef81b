package allow

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// place says where in a file something stands, for sentences.
func place(file string, n *yaml.Node) string { return fmt.Sprintf("%s, line %d", file, n.Line) }

// onlyDocument returns the root of the one YAML document in data, nil if there
// is nothing in it.
func onlyDocument(file string, data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: it is not YAML near %s; are all keys of a mapping indented alike?", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(&second); err == nil {
		return nil, fmt.Errorf("%s: it must hold one YAML document, and there is a second", place(file, &second))
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: it is not YAML: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return doc.Content[0], nil
}

// entries walks over a mapping's keys and values. Every key must be one of
// allowed (nil: any) and be there once.
func entries(file, what string, n *yaml.Node, allowed []string, visit func(key, value *yaml.Node)) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: %s must be a mapping of \"name: value\" lines", place(file, n), what)
	}
	var errs []error
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			errs = append(errs, fmt.Errorf("%s: %s has a key that is not a plain name", place(file, key), what))
		case allowed != nil && !slices.Contains(allowed, key.Value):
			errs = append(errs, fmt.Errorf("%s: %s has the key %s; allowed are %s", place(file, key), what, quote(key.Value), strings.Join(allowed, ", ")))
		case seen[key.Value]:
			errs = append(errs, fmt.Errorf("%s: %s has the key %s twice", place(file, key), what, quote(key.Value)))
		default:
			visit(key, value)
		}
		seen[key.Value] = true
	}
	return errors.Join(errs...)
}

// items walks over a list.
func items(file, what string, n *yaml.Node, visit func(item *yaml.Node)) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("%s: %s must be a list", place(file, n), what)
	}
	for _, item := range n.Content {
		visit(item)
	}
	return nil
}

// decode reads a mapping into a struct whose tags name all keys that it may have.
func decode(file, what string, n *yaml.Node, into any, allowed []string) error {
	err := entries(file, what, n, allowed, func(_, value *yaml.Node) {})
	if err != nil {
		return err
	}
	if err := n.Decode(into); err != nil {
		lines := strings.Split(strings.TrimPrefix(err.Error(), "yaml: "), "\n")
		reason := strings.TrimSpace(lines[len(lines)-1])
		return fmt.Errorf("%s: %s: %s", place(file, n), what, plainYAMLError(reason))
	}
	return nil
}

// wrongType is how the YAML library tells a value of another type than the field's.
var wrongType = regexp.MustCompile("^(line \\d+): cannot unmarshal (?:!!\\w+)(?: `(.*)`)? into (.*)$")

// plainYAMLError says without Go's words what a value should have been.
func plainYAMLError(text string) string {
	m := wrongType.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	want := map[string]string{"[]string": "a list, such as [" + cmp.Or(m[2], "a, b") + "]", "bool": "true or false", "map[string]string": "a mapping of names to values"}[m[3]]
	return fmt.Sprintf("%s has %s where %s belongs", m[1], quote(m[2]), cmp.Or(want, "a plain text"))
}

// keysOf returns the YAML keys of a struct, less those given.
func keysOf(v any, less ...string) []string {
	var keys []string
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" && key != "-" && !slices.Contains(less, key) {
			keys = append(keys, key)
		}
	}
	return keys
}
