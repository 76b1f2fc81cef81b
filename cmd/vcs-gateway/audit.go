package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"vcsagent/gateway/api"
)

func auditCommand() *cobra.Command {
	var f api.AuditFilter
	var limit int
	r := newRemote()
	cmd := &cobra.Command{
		Use: "audit", Short: "Print who changed what", Args: cobra.NoArgs,
		Long: "Print the audit log, the newest last: what was done by whose admin key and from where, and\n" +
			"which agents joined for the first time.",
		Example: "  vcs-gateway audit --target gitlab",
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.Action, "action", "", "`ACTION`, such as pool.create")
	flags.StringVar(&f.Target, "target", "", "`NAME` or ID of what it was done to")
	flags.IntVar(&limit, "limit", 100, "`NUMBER` of the newest to print")
	asJSON := jsonFlag(cmd, "one JSON array")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		entries, err := newest(cmd.Context(), limit, func(ctx context.Context, before string, n int) ([]api.AuditEntry, string, error) {
			f.Before, f.Limit = before, n
			page, err := c.Audit(ctx, f)
			return page.Entries, page.Next, err
		})
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), orEmpty(entries))
		}
		t := newTable("TIME", "BY", "FROM", "ACTION", "TARGET", "DETAIL")
		for _, e := range entries {
			by := e.Actor.Key
			if by == "" {
				by = "the gateway"
			}
			t.add(exact(e.Time), by, e.Actor.RemoteAddress, e.Action, strings.TrimSpace(e.Target.Kind+" "+e.Target.Name), pairs(e.Detail))
		}
		return t.print(cmd.OutOrStdout())
	})
}

// pairs shows names and values in a cell, in an order that stays.
func pairs(all map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		words = append(words, word(name)+"="+word(all[name]))
	}
	return strings.Join(words, " ")
}

// word quotes what would not stay one word between others. Agents choose names
// and tags for themselves: none must look like a pair of the gateway's.
func word(s string) string {
	for _, r := range s {
		if r == '=' || r == '"' || r == '\\' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
