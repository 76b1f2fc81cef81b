package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"vcsagent/gateway/api"
)

func tokenListCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{
		Use: "tokens NAME", Short: "List a pool's tokens and how many agents use each", Args: cobra.ExactArgs(1),
		Long: "List a pool's tokens, oldest first, by the IDs of the keys in them. What a token is was\nshown when it was made, and isn't to be had again.",
	}
	asJSON := jsonFlag(cmd, "one JSON array")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		tokens, err := c.Tokens(cmd.Context(), args[0])
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), orEmpty(tokens))
		}
		now := time.Now()
		t := newTable("ID", "AGENTS", "LAST USED", "EXPIRES", "CREATED")
		for _, k := range tokens {
			used := ago(k.LastUsedAt, now)
			if k.Connections > 0 { // noted when the agent joined, or will be
				used = "in use"
			}
			t.add(k.ID, fmt.Sprint(k.Connections), used, until(k.ExpiresAt, now), moment(k.CreatedAt))
		}
		return t.print(cmd.OutOrStdout())
	})
}

func tokenRotateCommand() *cobra.Command {
	var expires, replaced when
	r := newRemote()
	cmd := &cobra.Command{
		Use: "rotate-token NAME", Short: "Give a pool another token and print it, once", Args: cobra.ExactArgs(1),
		Long: "Give a pool another token, beside those that it has, and print it: alone on stdout, and only\n" +
			"this once. Agents that run with an older token go on until that is revoked or expires, so\n" +
			"that no request fails while the new one is rolled out.",
		Example: `  vcs-gateway pool rotate-token gitlab --old-expire 7d`,
	}
	cmd.Flags().Var(&expires, "expires", "when the new token does; never if not given")
	cmd.Flags().Var(&replaced, "old-expire", "last moment of the tokens that the pool has now; as they are if not given")
	asJSON := jsonFlag(cmd, "one JSON object: the token's ID and times, and the token")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		made, err := c.RotateToken(cmd.Context(), args[0], api.NewToken{Expires: expires.at, ReplacesExpire: replaced.at})
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), struct {
				api.Token
				Secret string `json:"token"` // in clear: it is what was asked for
			}{made.Token, made.Secret.Reveal()})
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), made.Secret.Reveal())
		}
		if err != nil {
			return written(err)
		}
		older := "The older tokens work until you revoke them"
		if !replaced.at.IsZero() {
			older = "The older tokens work until " + moment(replaced.at) + " at most"
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Next: give the new token, %[2]s, to the pool's agents and restart them. %[3]s:\n"+
			"when \"vcs-gateway pool tokens %[1]s\" shows no agents on one, \"vcs-gateway pool revoke-token %[1]s ID\" ends it.\n",
			args[0], made.ID, older)
		return nil
	})
}

func tokenRevokeCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{
		Use: "revoke-token NAME ID", Short: "Revoke one of a pool's tokens", Args: cobra.ExactArgs(2),
		Long: "Revoke the token with an ID (see vcs-gateway pool tokens). No agent can join with it any more,\n" +
			"and the sessions of those that did end at once, with the requests on them.",
	}
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		return c.RevokeToken(cmd.Context(), args[0], args[1])
	})
}
