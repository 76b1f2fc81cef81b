package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"vcsagent/allow"
	"vcsagent/transport"
)

const rulesListExample = `  vcs-agent rules list --vendor gitlab
  vcs-agent rules list --config /etc/vcs-agent.yaml --json`

func (c *command) rulesListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the rules of the policy", Example: rulesListExample, Args: cobra.NoArgs,
		Long: "List every rule of the vendor and of your own, those in groups that are off too.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.rulesPolicy(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return written(listJSON(cmd.OutOrStdout(), p))
			}
			return written(listTable(cmd.OutOrStdout(), p))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array with all that is known of each rule")
	return cmd
}

// listedRule is a rule in JSON. Blocks are rules that deny, at the end.
type listedRule struct {
	Verdict  string   `json:"verdict"` // allow, or deny for a block
	Name     string   `json:"name"`
	Purpose  string   `json:"purpose"`
	Group    string   `json:"group"`
	On       bool     `json:"on"`
	Methods  []string `json:"methods"` // of a block, none is every method
	Path     string   `json:"path"`    // of a block, a glob
	Host     string   `json:"host"`
	Query    []string `json:"query"`
	Fields   []string `json:"fields"`
	Body     string   `json:"body"`
	Projects string   `json:"projects"`
	Source   string   `json:"source"`
}

func listJSON(w io.Writer, p *allow.Policy) error {
	list := []listedRule{}
	for _, r := range p.List() {
		list = append(list, listedRule{
			Verdict: verdictAllow, Name: r.Name, Purpose: r.Purpose, Group: r.Group, On: r.On, Methods: orEmpty(r.Methods), Path: r.Path, Host: r.Host,
			Query: orEmpty(r.Query), Fields: orEmpty(r.Fields), Body: r.Body, Projects: r.Projects, Source: r.Source,
		})
	}
	for _, b := range p.Blocks() {
		list = append(list, listedRule{
			Verdict: verdictDeny, Name: b.Name, On: true, Methods: orEmpty(b.Methods), Path: b.Path,
			Query: []string{}, Fields: []string{}, Projects: b.Projects, Source: b.Source,
		})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}

// orEmpty keeps an empty list from being null in JSON.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// tableColumns is how wide the table is at most, unless a name or a path is
// wider alone.
const tableColumns = 120

// listTable prints two lines a rule, or more where its purpose is long: beside
// each other the paths would leave no room for the purposes.
func listTable(w io.Writer, p *allow.Policy) error {
	rows := [][]string{{"NAME", "GROUP", "ON", "METHODS", "PURPOSE"}}
	paths := []string{"path"}
	on := 0
	for _, r := range p.List() {
		if r.On {
			on++
		}
		rows = append(rows, []string{r.Name, orDash(r.Group), yesNo(r.On), strings.Join(r.Methods, ","), r.Purpose})
		paths = append(paths, pathLine(r))
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s: %d rules, %d of them on. Groups that are on: %s.\n", p.Vendor(), len(rows)-1, on, strings.Join(p.Groups(), ", "))
	if p.Observe() {
		fmt.Fprintln(out, "The policy observes: what no rule allows is let through as well.")
	}
	fmt.Fprintf(out, "GET stands for HEAD too. The policy has the SHA-256 (as in the agent's log)\n%s\n", p.Hash())
	fmt.Fprintln(out)
	table(out, rows, paths)

	if blocks := p.Blocks(); len(blocks) > 0 {
		fmt.Fprint(out, "\nBlocked, whatever rule allows it:\n\n")
		rows, paths := [][]string{{"NAME", "METHODS"}}, []string{"path"}
		for _, b := range blocks {
			methods := "every method"
			if len(b.Methods) > 0 {
				methods = strings.Join(b.Methods, ",")
			}
			rows = append(rows, []string{b.Name, methods})
			paths = append(paths, pathLine(allow.RuleInfo{Path: b.Path, Projects: b.Projects, Source: b.Source}))
		}
		table(out, rows, paths)
	}
	if hosts := p.RedirectHosts(); len(hosts) > 0 {
		fmt.Fprintf(out, "\nHosts that the VCS may redirect to: %s\n", strings.Join(hosts, ", "))
	}
	return out.Flush()
}

// pathLine is what a rule's second line has: where it leads, and what is
// particular about it.
func pathLine(r allow.RuleInfo) string {
	line := r.Path
	if r.Host != "" {
		line = r.Host + "HOST" + line
	}
	if r.Projects != "" {
		line += "  projects: " + r.Projects
	}
	if r.Source != "" {
		line += "  (" + r.Source + ")"
	}
	return line
}

// table prints rows in columns, the last one wrapped, and below each row its
// path.
func table(w io.Writer, rows [][]string, paths []string) {
	const gap, indent, least = 2, 4, 30
	last := len(rows[0]) - 1
	widths := make([]int, last)
	left := tableColumns
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		left -= widths[i] + gap
	}
	for n, row := range rows {
		var line strings.Builder
		for i, width := range widths {
			fmt.Fprintf(&line, "%-*s", width+gap, transport.Printable(row[i]))
		}
		margin := utf8.RuneCountInString(line.String())
		for i, part := range wrap(transport.Printable(row[last]), max(left, least)) {
			if i > 0 {
				line.WriteString("\n" + strings.Repeat(" ", margin))
			}
			line.WriteString(part)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
		fmt.Fprintf(w, "%*s%s\n", indent, "", transport.Printable(paths[n]))
	}
}

// wrap breaks a text between words into lines of at most width letters. A longer
// word stays whole.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		line := &lines[len(lines)-1]
		switch {
		case *line == "":
			*line = word
		case utf8.RuneCountInString(*line)+1+utf8.RuneCountInString(word) <= width:
			*line += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
