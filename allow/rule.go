package allow

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed rules/*.yaml
var rulesFS embed.FS

// ruleFile is one vendor's rules as they stand in YAML.
type ruleFile struct {
	Vendor        string   `yaml:"vendor"`
	Headers       []string `yaml:"headers"`         // request headers that may pass beside the common ones
	Credentials   []string `yaml:"credentials"`     // the same that carry credentials, beside Authorization
	GitUser       string   `yaml:"git_user"`        // user name under which git takes a token as the password; "": git takes what the API takes
	Lookup        *lookup  `yaml:"lookup"`          // the call that tells a project's path by its number
	Kin           kin      `yaml:"kin"`             // group → globs of paths that belong to it though no rule has them
	Paging        []string `yaml:"paging"`          // query keys of every rule that is paged
	FieldsInQuery bool     `yaml:"fields_in_query"` // the vendor reads a body's fields from the query too
	BodyTypes     []string `yaml:"body_types"`      // json, form, multipart: what bodies with fields may come as
	Rules         []*rule  `yaml:"rules"`
}

// kin are globs by group.
type kin map[string][]string

// lookup is a call that answers a JSON object with a project's path in it.
type lookup struct {
	Path  string `yaml:"path"`  // with {id} for the project's number
	Field string `yaml:"field"` // top-level
}

// rule allows one kind of call.
type rule struct {
	Name    string   `yaml:"name"`
	Purpose string   `yaml:"purpose"` // a sentence that the customer understands
	Group   string   `yaml:"group"`
	Methods []string `yaml:"methods"` // GET stands for HEAD as well
	Path    string   `yaml:"path"`    // a template, see template.go
	Host    string   `yaml:"host"`    // prefix to the base endpoint's host

	Paged  bool              `yaml:"paged"`
	Query  []string          `yaml:"query"`  // keys that may be given once
	Repeat []string          `yaml:"repeat"` // keys that may be given any number of times
	Fixed  map[string]string `yaml:"fixed"`  // keys that must be given, with this value

	Body        bodyMode `yaml:"body"`         // "" is fields if there are any, else no body
	Fields      []string `yaml:"fields"`       // top-level fields that a body may have
	ContentType string   `yaml:"content_type"` // sent in place of the caller's; needed when the body streams

	// TokenQuery says that the query key token carries a short-lived token that
	// the VCS itself put into a redirect. No other rule may have such a key.
	TokenQuery bool `yaml:"token_query"`

	// NamesProjects are the query keys and body fields (a dot leads into an
	// object) that name another project: by its "id", by its "path", or by
	// something "unknown" that the project can't be told from.
	NamesProjects map[string]string `yaml:"names_projects"`
	AllProjects   bool              `yaml:"all_projects"` // the call reaches projects that it doesn't name
	Projects      string            `yaml:"projects"`     // pattern of the rule's own, beside the policy's

	BodyTypes []string `yaml:"-"` // the vendor's

	place     string // "FILE, line N"; "" for an embedded rule
	on        bool
	projects  *regexp.Regexp // nil: every project
	variants  []*variant
	queryKeys map[string]keyRule
}

// groupCustom is the group of a customer's rules that name none. It is always on.
const groupCustom = "custom"

// bodyMode says how a rule's request bodies are handled.
type bodyMode string

const (
	bodyNone    bodyMode = ""        // there must be none
	bodyFields  bodyMode = "fields"  // an object or form whose fields the rule names
	bodyGraphQL bodyMode = "graphql" // a GraphQL request that only queries
	bodyStream  bodyMode = "stream"  // passed on unread
	bodyAny     bodyMode = "any"     // whatever names nothing dangerous; only observing has it
)

// keyRule is what a rule says of one query key.
type keyRule struct {
	index  int // below maxKeys
	repeat bool
	fixed  bool
	value  string // the only value when fixed
	names  string // how it names another project: "", "id" or "path"
}

// Vendors returns the vendors that have rules, sorted.
func Vendors() []string {
	entries, err := rulesFS.ReadDir("rules")
	if err != nil {
		panic("allow: read the embedded rules: " + err.Error()) // the folder is part of the binary
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

func loadVendor(vendor string) (*ruleFile, error) {
	if !slices.Contains(Vendors(), vendor) {
		return nil, fmt.Errorf("vendor is %s; allowed are %s", quote(vendor), strings.Join(Vendors(), ", "))
	}
	data, err := rulesFS.ReadFile("rules/" + vendor + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("read the embedded rules: %w", err)
	}
	file, err := decodeRules(data)
	if err != nil {
		return nil, fmt.Errorf("rules of vendor %s: %w", vendor, err)
	}
	return file, nil
}

// decodeRules reads one YAML document of a vendor's rules. A key that it doesn't
// know is an error, since a misspelt condition would allow more than was meant.
func decodeRules(data []byte) (*ruleFile, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	file := new(ruleFile)
	if err := dec.Decode(file); err != nil {
		return nil, err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one YAML document")
	}
	var errs []error
	names := make(map[string]bool)
	for _, r := range file.Rules {
		if names[r.Name] {
			errs = append(errs, fmt.Errorf("rule %s: the name is used twice", quote(r.Name)))
		}
		names[r.Name] = true
		if err := r.prepare(file); err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", quote(r.Name), err))
		}
	}
	return file, errors.Join(errs...)
}

// prepare checks a rule and derives from it what matching needs.
func (r *rule) prepare(file *ruleFile) error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(r.Name != "", "name is empty")
	check(r.Purpose != "", "purpose is empty")
	if r.Group == "" && r.place != "" {
		r.Group = groupCustom
	}
	check(slices.Contains(Groups(), r.Group) || r.Group == groupCustom && r.place != "", "group is %s; allowed are %s", quote(r.Group), strings.Join(Groups(), ", "))
	check(len(r.Methods) > 0, "methods is empty")
	for _, m := range r.Methods {
		check(slices.Contains(methods, m), "method %s is not one of %s", quote(m), strings.Join(methods, ", "))
	}
	if r.Body == bodyNone && len(r.Fields) > 0 {
		r.Body = bodyFields
	}
	check(slices.Contains([]bodyMode{bodyNone, bodyFields, bodyGraphQL, bodyStream}, r.Body), "body is %s; allowed are fields, graphql, stream", quote(string(r.Body)))
	check(r.Body != bodyStream || r.ContentType != "", "content_type is empty; a body that streams needs one, or the VCS may read parameters from it")
	check(r.Body != bodyStream || !readable(r.ContentType), "content_type is %s, from which a VCS may read parameters; a body that streams can't be checked for them", quote(r.ContentType))
	check(r.Body == bodyStream || r.ContentType == "", "content_type is only for a body that streams")
	if r.Body == bodyGraphQL {
		r.AllProjects = true
	}
	check(r.Host == "" || strings.HasSuffix(r.Host, ".") && isName(r.Host), "host is %s; it must be labels that end with a dot", quote(r.Host))
	r.BodyTypes = file.BodyTypes
	for _, t := range r.BodyTypes {
		check(slices.Contains([]string{"json", "form", "multipart"}, t), "body type %s is not one of json, form, multipart", quote(t))
	}

	r.queryKeys = make(map[string]keyRule)
	r.addKeys(r.Query, keyRule{})
	r.addKeys(r.Repeat, keyRule{repeat: true})
	if r.Paged {
		r.addKeys(file.Paging, keyRule{})
	}
	if file.FieldsInQuery {
		r.addKeys(r.Fields, keyRule{})
	}
	for name, value := range r.Fixed {
		r.addKeys([]string{name}, keyRule{fixed: true, value: value})
	}
	check(len(r.queryKeys) <= maxKeys, "there are more than %d query keys", maxKeys)
	for name := range r.queryKeys {
		check(dangerHint(name) == "" || r.TokenQuery && name == "token", "query key %s is never allowed", quote(name))
	}
	for _, name := range r.Fields {
		check(dangerHint(name) == "", "field %s is never allowed", quote(name))
	}
	for name, how := range r.NamesProjects {
		check(how == "id" || how == "path" || how == "unknown", "names_projects has %s for %s; allowed are id, path, unknown", quote(how), quote(name))
		top, _, _ := strings.Cut(name, ".")
		_, inQuery := r.queryKeys[name]
		check(inQuery || slices.Contains(r.Fields, top), "names_projects has %s, which is neither a query key nor a field", quote(name))
	}

	var err error
	r.variants, err = parseTemplate(r)
	errs = append(errs, err)
	if r.Projects != "" {
		r.projects, err = compileProjects("projects", r.Projects)
		errs = append(errs, err)
		check(r.projects == nil || r.AllProjects || len(r.variants) == 0 || r.namesProject(), "projects is %s, but no part of the path is a project", quote(r.Projects))
	}
	return errors.Join(errs...)
}

// readable tells types that servers read parameters from.
func readable(contentType string) bool {
	contentType = strings.ToLower(contentType)
	return slices.ContainsFunc([]string{"json", "form", "xml", "text/", "yaml"}, func(s string) bool { return strings.Contains(contentType, s) })
}

// namesProject tells whether the path has a parameter that is a project.
func (r *rule) namesProject() bool {
	return slices.ContainsFunc(r.variants[0].segs, func(s templateSegment) bool { return s.kind != nil && s.kind.project })
}

// methods are those that a rule may have. HEAD comes with GET; CONNECT, TRACE
// and what WebDAV adds are nothing an API needs.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func (r *rule) addKeys(names []string, k keyRule) {
	for _, name := range names {
		if _, ok := r.queryKeys[name]; ok {
			continue
		}
		k.index = len(r.queryKeys)
		k.names = r.NamesProjects[name]
		r.queryKeys[name] = k
	}
}
