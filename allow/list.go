package allow

import "slices"

// RuleInfo describes a rule for people.
type RuleInfo struct {
	Name     string
	Purpose  string
	Group    string   // "custom" for a customer's rule that names none
	Methods  []string // HEAD comes with GET
	Path     string   // template, see the package's doc
	Host     string   // prefix to the base endpoint's host, such as "codeload."
	Query    []string // keys that it may have; one with a fixed value as "service=git-upload-pack"
	Body     string   // "" none, "fields", "graphql", "stream"
	Fields   []string // top-level fields that a body may have
	Projects string   // pattern of the rule's own
	On       bool     // its group is on
	Source   string   // "FILE, line N" for a customer's, "" for a vendor's
}

// BlockInfo describes a block rule of a customer's for people.
type BlockInfo struct {
	Name     string
	Methods  []string // none: every method
	Path     string   // glob: * stands for a part of a segment, ** for any segments
	Projects string   // pattern of the projects that it is about; "" for every call that the path matches
	Source   string   // "FILE, line N"
}

// List returns every rule, those of groups that are off as well, the vendor's
// first.
func (p *Policy) List() []RuleInfo {
	var list []RuleInfo
	for _, r := range p.rules {
		info := RuleInfo{
			Name: r.Name, Purpose: r.Purpose, Group: r.Group, Methods: slices.Clone(r.Methods), Path: r.Path, Host: r.Host,
			Body: string(r.Body), Fields: slices.Clone(r.Fields), Projects: r.Projects, On: r.on, Source: r.place,
		}
		for key, k := range r.queryKeys {
			if k.fixed {
				key += "=" + k.value
			}
			info.Query = append(info.Query, key)
		}
		slices.Sort(info.Query)
		list = append(list, info)
	}
	return list
}

// Blocks returns the customer's block rules.
func (p *Policy) Blocks() []BlockInfo {
	var list []BlockInfo
	for _, b := range p.blocks {
		list = append(list, BlockInfo{Name: b.Name, Methods: slices.Clone(b.Methods), Path: b.Path, Projects: b.Projects, Source: b.place})
	}
	return list
}
