package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
	"vcsagent/transport"
)

// maxTyped bounds what is read of an answer: a name has at most 63 bytes.
const maxTyped = 256

// confirm asks whoever sits at the terminal to type a name, after telling what
// becomes of it. Without a terminal nothing can be asked, and --yes is wanted
// instead. It returns nil for yes.
func confirm(cmd *cobra.Command, yes bool, what, name, becomes string) error {
	if yes {
		return nil
	}
	in := cmd.InOrStdin()
	if f, ok := in.(*os.File); !ok || !isatty.IsTerminal(f.Fd()) {
		return cli.Usage(fmt.Errorf("nothing was deleted: there is no terminal to ask on; add --yes to delete the %s %q", what, name))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s\nType %s to delete the %s: ", becomes, transport.Printable(name), what)
	typed, err := bufio.NewReader(io.LimitReader(in, maxTyped)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the answer can't be read: %w", err)
	}
	if strings.TrimSpace(typed) != name {
		return fmt.Errorf("nothing was deleted: that was not the name of the %s", what)
	}
	return nil
}
