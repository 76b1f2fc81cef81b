package docs_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"vcsagent/allow"
)

var update = flag.Bool("update", false, "write what is generated into docs/policy.md")

const (
	beginMarker = "<!-- rules: begin -->\n"
	endMarker   = "<!-- rules: end -->\n"
)

// vendorFile is what the tables tell of a vendor's YAML file.
type vendorFile struct {
	Vendor        string     `yaml:"vendor"`
	Headers       []string   `yaml:"headers"`
	Credentials   []string   `yaml:"credentials"`
	Paging        []string   `yaml:"paging"`
	FieldsInQuery bool       `yaml:"fields_in_query"`
	BodyTypes     []string   `yaml:"body_types"`
	Rules         []yamlRule `yaml:"rules"`
}

type yamlRule struct {
	Name          string            `yaml:"name"`
	Purpose       string            `yaml:"purpose"`
	Group         string            `yaml:"group"`
	Methods       []string          `yaml:"methods"`
	Path          string            `yaml:"path"`
	Host          string            `yaml:"host"`
	Paged         bool              `yaml:"paged"`
	Query         []string          `yaml:"query"`
	Repeat        []string          `yaml:"repeat"`
	Fixed         map[string]string `yaml:"fixed"`
	Body          string            `yaml:"body"`
	Fields        []string          `yaml:"fields"`
	NamesProjects map[string]string `yaml:"names_projects"`
	AllProjects   bool              `yaml:"all_projects"`
}

// The tables of docs/policy.md are those of the YAML files. With -update they are
// written; without it a difference fails.
func TestRulesAreDocumented(t *testing.T) {
	text := readPolicy(t)
	before, rest, began := strings.Cut(text, beginMarker)
	documented, after, ended := strings.Cut(rest, endMarker)
	if !began || !ended {
		t.Fatalf("docs/policy.md lacks %q or %q", beginMarker, endMarker)
	}
	var want strings.Builder
	for _, vendor := range allow.Vendors() {
		writeVendor(&want, t, readVendor(t, vendor))
	}
	if *update {
		writePolicy(t, before+beginMarker+want.String()+endMarker+after)
		return
	}
	if documented != want.String() {
		t.Errorf("the rules in docs/policy.md are not those of allow/rules; %s", updateHint(documented, want.String()))
	}
}

// updateHint says how to mend the page, and where it differs first.
func updateHint(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			line := func(lines []string) string {
				if i < len(lines) {
					return lines[i]
				}
				return "nothing"
			}
			return fmt.Sprintf("run `go test ./test/docs -update`. Line %d has\n%s\nwant\n%s", i+1, line(g), line(w))
		}
	}
	return "they are the same"
}

// The compiled policy has what the tables say, key by key: nothing is added to a
// rule on the way.
func TestTablesTellTheCompiledRules(t *testing.T) {
	for _, vendor := range allow.Vendors() {
		file := readVendor(t, vendor)
		p, err := allow.New(allow.Options{Vendor: vendor, Groups: allow.Groups()})
		if err != nil {
			t.Fatal(err)
		}
		list := p.List()
		if len(list) != len(file.Rules) {
			t.Fatalf("%s: %d rules are compiled, the file has %d", vendor, len(list), len(file.Rules))
		}
		for i, r := range file.Rules {
			keys := slices.Concat(r.Query, r.Repeat)
			for key, value := range r.Fixed {
				keys = append(keys, key+"="+value)
			}
			if r.Paged {
				keys = append(keys, file.Paging...)
			}
			if file.FieldsInQuery {
				keys = append(keys, r.Fields...)
			}
			slices.Sort(keys)
			keys = slices.Compact(keys)
			c := list[i]
			if c.Name != r.Name || c.Group != r.Group || c.Path != r.Path || c.Host != r.Host || c.Purpose != r.Purpose ||
				!slices.Equal(c.Methods, r.Methods) || !slices.Equal(c.Query, keys) || !slices.Equal(c.Fields, r.Fields) {
				t.Errorf("%s: the compiled rule is\n%+v\nthe file has\n%+v\nwith the query keys %v", vendor, c, r, keys)
			}
		}
	}
}

// titles are the vendors' own names.
var titles = map[string]string{
	"azure_devops":         "Azure DevOps Server",
	"bitbucket_datacenter": "Bitbucket Data Center",
	"gitea":                "Gitea and Forgejo",
	"github_enterprise":    "GitHub Enterprise Server",
	"gitlab":               "GitLab",
}

func writeVendor(b *strings.Builder, t *testing.T, f vendorFile) {
	t.Helper()
	if titles[f.Vendor] == "" {
		t.Errorf("the vendor %s has no title here", f.Vendor)
	}
	fmt.Fprintf(b, "\n### %s (`%s`)\n\n", titles[f.Vendor], f.Vendor)
	var free, all []string
	for _, r := range f.Rules {
		switch {
		case r.AllProjects:
			all = append(all, r.Name)
		case namesNoProject(t, f.Vendor, r.Name):
			free = append(free, r.Name)
		}
	}
	for _, line := range []struct {
		what  string
		names []string
	}{
		{"Paging keys", f.Paging},
		{"Further request headers", f.Headers},
		{"Headers that carry credentials, beside `Authorization`", f.Credentials},
		{"Types that bodies with fields may have", f.BodyTypes},
		{"About no project, so that they pass under a pattern", free},
		{"Denied while a pattern is set", all},
	} {
		if line.names != nil {
			fmt.Fprintf(b, "- %s: %s\n", line.what, code(line.names))
		}
	}
	if f.FieldsInQuery {
		b.WriteString("- What a body may have may stand in the query too.\n")
	}
	b.WriteString("\n| rule | group | methods | path | query keys | body fields | purpose |\n|---|---|---|---|---|---|---|\n")
	for _, r := range f.Rules {
		path := "`" + r.Path + "`"
		if r.Host != "" {
			path = "`" + r.Host + "` before the host, " + path
		}
		row := []string{"`" + r.Name + "`", r.Group, strings.Join(r.Methods, ", "), path, r.queryCell(), r.bodyCell(), r.Purpose}
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
		}
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

func (r yamlRule) queryCell() string {
	var cells []string
	for key, value := range r.Fixed {
		cells = append(cells, "`"+key+"="+value+"`")
	}
	slices.Sort(cells)
	if r.Paged {
		cells = append(cells, "*paging*")
	}
	for _, key := range r.Query {
		cells = append(cells, "`"+key+"`"+r.naming(key))
	}
	for _, key := range r.Repeat {
		cells = append(cells, "`"+key+"`…"+r.naming(key))
	}
	return strings.Join(cells, ", ")
}

func (r yamlRule) bodyCell() string {
	switch r.Body {
	case "stream":
		return "git's protocol, unread"
	case "graphql":
		return "a GraphQL query"
	}
	var cells []string
	for _, field := range r.Fields {
		cells = append(cells, "`"+field+"`"+r.naming(field))
	}
	for _, name := range slices.Sorted(maps.Keys(r.NamesProjects)) {
		if strings.Contains(name, ".") && !slices.Contains(r.Query, name) {
			cells = append(cells, "`"+name+"`"+r.naming(name))
		}
	}
	return strings.Join(cells, ", ")
}

// naming marks what names another project.
func (r yamlRule) naming(key string) string {
	if r.NamesProjects[key] == "" {
		return ""
	}
	return " (*project*)"
}

func code(names []string) string {
	return "`" + strings.Join(names, "`, `") + "`"
}

// namesNoProject asks the compiler: it refuses a pattern for such a rule.
func namesNoProject(t *testing.T, vendor, rule string) bool {
	t.Helper()
	rules, err := allow.ParseRules("test.yaml", []byte("projects: {"+rule+": x}"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = allow.New(allow.Options{Vendor: vendor, Groups: allow.Groups(), Rules: rules})
	if err != nil && !strings.Contains(err.Error(), "no part of its path is a project") {
		t.Fatal(err)
	}
	return err != nil
}

func readVendor(t *testing.T, vendor string) vendorFile {
	t.Helper()
	data, err := os.ReadFile("../../allow/rules/" + vendor + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f vendorFile
	if err := yaml.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}
