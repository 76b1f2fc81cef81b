package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"vcsagent/allow"
	"vcsagent/cmd/internal/cli"
)

const rulesTestDescription = `Decide on one call as the agent does, and say why. Nothing is sent.

TARGET is the request's target as it would come, such as /api/v4/user?x=y: it is
taken as it is, nothing is decoded or cleaned. The exit code is 0 if the call is
allowed, 1 if it's denied and 2 if the command is wrong.

With --json the answer is one JSON object. With --json and no METHOD and TARGET,
standard input holds one JSON object a line, with the keys vendor, method, target,
allowed_projects, allow_groups, body and headers, of which method and target are
needed and the others default to the settings; one object a line is answered, in
order. The exit code is then 2 if a line can't be read, and otherwise 0.`

const rulesTestExample = `  vcs-agent rules test --vendor gitlab GET /api/v4/projects/acme%2Finfra
  vcs-agent rules test --vendor gitlab --header 'Content-Type: application/json' \
      --body '{"body": "done"}' POST /api/v4/projects/acme%2Finfra/merge_requests/7/notes
  vcs-agent rules test --config /etc/vcs-agent.yaml --json < calls.jsonl`

// try is the command "rules test".
type try struct {
	command *command
	json    bool
	body    string
	headers []string
}

func (c *command) rulesTestCommand() *cobra.Command {
	t := &try{command: c}
	cmd := &cobra.Command{
		Use: "test METHOD TARGET", Short: "Decide on a call and explain why", Long: rulesTestDescription, Example: rulesTestExample,
		Args: t.arguments, RunE: t.run, ValidArgsFunction: cobra.NoFileCompletions, DisableFlagsInUseLine: true,
	}
	f := cmd.Flags()
	f.BoolVar(&t.json, "json", false, "answer in JSON; without METHOD and TARGET, read calls from standard input")
	f.StringVar(&t.body, "body", "", "the request's body: `TEXT`, or @FILE")
	f.StringArrayVar(&t.headers, "header", nil, "a `HEADER` of the request, as 'Name: value'; it can be given again")
	return cmd
}

func (t *try) arguments(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 2, len(args) == 0 && t.json && t.body == "" && t.headers == nil:
		return nil
	case len(args) == 0 && t.json:
		return errors.New("--body and --header belong to a METHOD and a TARGET; on standard input, each line has its own")
	case len(args) == 0:
		return errors.New("no call is given: give METHOD and TARGET, such as GET /api/v4/user, or --json and calls on standard input")
	default:
		return fmt.Errorf("METHOD and TARGET are two arguments, and the command has %d: quote a target that has spaces", len(args))
	}
}

func (t *try) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		o, err := t.command.rulesOptions(cmd, false)
		if err != nil {
			return err
		}
		return explainLines(cmd.InOrStdin(), cmd.OutOrStdout(), o)
	}
	r, inputErr := t.request(args[0], args[1])
	p, err := t.command.rulesPolicy(cmd)
	if err := errors.Join(inputErr, err); err != nil {
		return cli.Usage(err)
	}
	e := explain(p, r)
	if t.json {
		err = encodeLine(cmd.OutOrStdout(), e)
	} else {
		err = e.print(cmd.OutOrStdout(), p)
	}
	if err == nil && e.Verdict == verdictDeny {
		return cli.Exit(cli.ExitFailure)
	}
	return written(err)
}

// request is the one that the command line describes.
func (t *try) request(method, target string) (request, error) {
	r := request{method: method, target: target, header: http.Header{}, body: []byte(t.body)}
	var problems []error
	for _, h := range t.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			problems = append(problems, errors.New("--header has no colon: it must be 'Name: value'")) // it may be a secret alone
			continue
		}
		problems = append(problems, addHeader(r.header, name, strings.TrimSpace(value)))
	}
	if path, ok := strings.CutPrefix(t.body, "@"); ok {
		body, err := readBody(path)
		if err != nil {
			err = cli.NewSettingError("body", t.body, err.Error())
		}
		r.body = body
		problems = append(problems, err)
	}
	return r, errors.Join(problems...)
}

// addHeader refuses what no server would hand to the agent.
func addHeader(h http.Header, name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("%.40q is no header's name", name)
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("the value of the header %.40s has control characters", name)
	}
	h.Add(name, value)
	return nil
}

// readBody reads no more than the agent would before it denies.
func readBody(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cli.Unreadable(err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, allow.MaxBodyBytes+1))
	if err != nil {
		return nil, cli.Unreadable(err)
	}
	return body, nil
}

// encodeLine writes e as one line of JSON.
func encodeLine(w io.Writer, e explanation) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}
