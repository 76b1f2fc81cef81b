package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
	"vcsagent/gateway/api"
	"vcsagent/transport"
)

const requestsLong = `Print the log of requests, the newest last: when each came, what became of it and how long
that took. With --id all that is known of a request is printed.

--follow prints each request as it ends, up to a second later, until it's interrupted. It
goes on after a restart of the gateway, with what came in between.`

const requestsExample = `  vcs-gateway requests --pool gitlab --outcome denied --since 1d
  vcs-gateway requests --follow --json | jq -r 'select(.status >= 500) | .id'`

// The most entries of a log that are printed; they're all in memory then.
const maxEntries = 100_000

func requestsCommand() *cobra.Command {
	var f api.RequestFilter
	since := when{past: true}
	var limit int
	var follow bool
	r := newRemote()
	cmd := &cobra.Command{
		Use: "requests", Short: "Print the log of requests, or follow it", Args: cobra.NoArgs,
		Long: requestsLong, Example: requestsExample,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.Pool, "pool", "", "those to the pool of a `NAME`, also of one that was deleted")
	flags.StringVar(&f.Key, "key", "", "those with the key of a `NAME`; never the key itself")
	flags.StringVar(&f.Outcome, "outcome", "", "`OUTCOME`: served, denied, refused, vcs_error, no_agent, busy, cancelled or cut")
	flags.StringVar(&f.Name, "name", "", "those that a rule of a `NAME` let through, such as gitlab.project.get")
	flags.StringVar(&f.Project, "project", "", "those for a `PROJECT`")
	flags.StringVar(&f.ID, "id", "", "the one with an `ID`, its X-Request-Id, with all that is known of it")
	flags.Var(&since, "since", "those that came at a time or later")
	flags.IntVar(&limit, "limit", 100, "`NUMBER` of the newest to print")
	flags.BoolVarP(&follow, "follow", "f", false, "print requests as they end, until interrupted")
	asJSON := jsonFlag(cmd, "one JSON array; with --follow one object per line")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		if err := refuseSecrets(f.Key); err != nil {
			return err
		}
		f.From = since.at
		if follow {
			for _, past := range []string{"since", "limit"} {
				if flags.Changed(past) {
					return cli.Usage(fmt.Errorf("--%s and --follow don't go together: what is followed begins now and has no end", past))
				}
			}
			return followRequests(cmd, c, f, *asJSON)
		}
		requests, err := newest(cmd.Context(), limit, func(ctx context.Context, before string, n int) ([]api.Request, string, error) {
			f.Before, f.Limit = before, n
			page, err := c.Requests(ctx, f)
			return page.Requests, page.Next, err
		})
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), orEmpty(requests))
		case f.ID != "":
			return requestPairs(cmd.OutOrStdout(), requests)
		}
		t := newTable(requestColumns...)
		for _, r := range requests {
			t.add(requestCells(r)...)
		}
		return t.print(cmd.OutOrStdout())
	})
}

// followRequests prints requests as they end. An interruption is how it is meant
// to end.
func followRequests(cmd *cobra.Command, c *api.Client, f api.RequestFilter, asJSON bool) error {
	ctx, stop := cli.Signals(cmd.Context())
	defer stop()
	out := cmd.OutOrStdout()
	show := func(r api.Request) error {
		if asJSON {
			return printJSONLine(out, r)
		}
		return written(printLine(out, requestCells(r)))
	}
	if !asJSON {
		if err := printLine(out, requestColumns); err != nil {
			return written(err)
		}
	}
	lost := func(err error) {
		fmt.Fprintf(cmd.ErrOrStderr(), "vcs-gateway: %s: connecting again\n", transport.Printable(err.Error()))
	}
	err := c.FollowRequests(ctx, f, show, lost)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

var (
	requestColumns = []string{"TIME", "OUTCOME", "STATUS", "TOOK", "POOL", "KEY", "NAME", "PROJECT", "ID", "REQUEST"}
	// followWidths are the columns' widths, in letters, where the rows to come
	// aren't known: wide enough for what is usual.
	followWidths = []int{24, 16, 6, 6, 12, 12, 24, 20, 26, 0}
)

func requestCells(r api.Request) []string {
	outcome := r.Outcome
	if why := cmp.Or(r.Reason, r.Code); why != "" && why != outcome {
		outcome += " " + why
	}
	return []string{
		exact(r.Time), outcome, number(r.Status), seconds(r.Elapsed), r.Pool, r.Key, r.Name, r.Project, r.ID, r.Method + " " + r.Path,
	}
}

// printLine prints a row by itself.
func printLine(w io.Writer, cells []string) error {
	var b strings.Builder
	for i, c := range cells {
		c = transport.Printable(orDash(c))
		b.WriteString(c)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", 2+max(0, followWidths[i]-utf8.RuneCountInString(c))))
		}
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

// requestPairs prints all that is known of requests.
func requestPairs(w io.Writer, requests []api.Request) error {
	for i, r := range requests {
		if i > 0 {
			fmt.Fprintln(w)
		}
		t := newPairs()
		t.add("id", r.ID)
		t.add("time", exact(r.Time))
		t.add("pool", r.Pool)
		t.add("key", r.Key)
		t.add("request", r.Method+" "+r.Path)
		t.add("call", r.Name)
		t.add("purpose", r.Purpose)
		t.add("project", r.Project)
		t.add("outcome", r.Outcome)
		t.add("code", r.Code)
		t.add("reason", r.Reason)
		t.add("status", number(r.Status))
		t.add("queued", seconds(r.Queued))
		t.add("first byte", "after "+seconds(r.FirstByte))
		t.add("took", seconds(r.Elapsed))
		t.add("bytes in", fmt.Sprint(r.BytesIn))
		t.add("bytes out", fmt.Sprint(r.BytesOut))
		t.add("agent", r.Instance)
		t.add("session", r.Session)
		t.add("stream", number(r.Stream))
		if err := t.print(w); err != nil {
			return err
		}
	}
	return nil
}

// newest reads up to limit entries of a log, page by page, and returns them with
// the newest last.
func newest[T any](ctx context.Context, limit int, page func(ctx context.Context, before string, n int) (entries []T, next string, err error)) ([]T, error) {
	const perPage = 1000 // the API's most
	if limit < 1 || limit > maxEntries {
		return nil, cli.Usage(fmt.Errorf("--limit is %d: it must be from 1 to %d", limit, maxEntries))
	}
	var all []T
	for before := ""; ; {
		entries, next, err := page(ctx, before, min(limit-len(all), perPage))
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
		if next == "" || len(all) >= limit || len(entries) == 0 {
			break
		}
		before = next
	}
	slices.Reverse(all)
	return all, nil
}
