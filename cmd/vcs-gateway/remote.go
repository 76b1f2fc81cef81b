package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
	"vcsagent/gateway"
	"vcsagent/gateway/api"
	"vcsagent/gateway/control"
	"vcsagent/transport"
)

// remote is how a command finds the running gateway: by its data folder on the
// same machine, or by address and key.
type remote struct {
	settings *cli.Settings
	dataDir  string
	address  string
	apiKey   transport.Secret
}

const remoteNote = `The command talks to a running gateway's API. On the gateway's own machine --data-dir is
enough: the address and the admin key are in that folder. Elsewhere give --address, and the
admin key in VCS_GATEWAY_API_KEY.`

// newRemote returns one whose settings a command can add its own to.
func newRemote() *remote { return &remote{settings: cli.NewSettings(envPrefix)} }

// bind declares the settings on cmd, and do as what it does with the gateway.
func (r *remote) bind(cmd *cobra.Command, do func(*cobra.Command, *api.Client, []string) error) *cobra.Command {
	f := r.settings.Group("Which gateway")
	f.StringVar(&r.dataDir, "data-dir", "", "the gateway's data `FOLDER`, on the same machine")
	f.StringVar(&r.address, "address", "", "`URL` of the gateway's admin listener")
	cli.SecretVar(f, &r.apiKey, "api-key", "an admin `KEY`; other users of the machine can see flags, so prefer the variable")
	r.settings.Note(remoteNote)
	r.settings.Bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := refuseSecrets(args...); err != nil {
			return err
		}
		client, err := r.client(cmd)
		if _, ok := errors.AsType[*notRunningError](err); ok {
			return err
		}
		if err != nil {
			return r.settings.Invalid(err)
		}
		return hinted(do(cmd, client, args))
	}
	return cmd
}

func (r *remote) client(cmd *cobra.Command) (*api.Client, error) {
	if err := r.settings.Load(cmd); err != nil {
		return nil, err
	}
	if r.dataDir == "" && (r.address == "" || r.apiKey == "") {
		return nil, errors.New("no gateway is named: give --data-dir on its own machine, or --address and the admin key in VCS_GATEWAY_API_KEY")
	}
	address, key := r.address, r.apiKey
	if address == "" {
		b, err := cli.ReadFile(filepath.Join(r.dataDir, gateway.AdminAddressFile), cli.MaxSecretFile)
		if err != nil {
			return nil, r.missing(gateway.AdminAddressFile, err)
		}
		address = strings.TrimSpace(string(b))
	}
	if key == "" {
		secret, err := cli.ReadSecretFile(filepath.Join(r.dataDir, control.AdminKeyFile))
		if err != nil {
			return nil, r.missing(control.AdminKeyFile, err)
		}
		key = transport.Secret(secret)
	}
	// The admin listener is called directly, proxies are for the world outside.
	client, err := api.NewClient(address, key, &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}})
	if err != nil {
		return nil, cli.NewSettingError("address", address, err.Error())
	}
	return client, nil
}

// notRunningError says that a data folder is a gateway's that doesn't run now.
type notRunningError struct{ folder string }

// Error implements error.
func (e *notRunningError) Error() string {
	return fmt.Sprintf("the gateway can't be reached: none runs on the data folder %s, or it started a moment ago", e.folder)
}

func (r *remote) missing(file string, err error) error {
	if _, started := os.Stat(filepath.Join(r.dataDir, control.AdminKeyFile)); file == gateway.AdminAddressFile && started == nil && errors.Is(err, fs.ErrNotExist) {
		return &notRunningError{r.dataDir}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return cli.NewSettingError("data-dir", r.dataDir, "no file "+file+" is in it: is this the folder of a gateway that has been started?")
	}
	return cli.NewSettingError("data-dir", r.dataDir, file+": "+err.Error())
}

// refuseSecrets refuses keys and tokens where names are wanted: a name goes into
// a URL, and from there into logs.
func refuseSecrets(names ...string) error {
	for _, name := range names {
		for _, prefix := range []string{"vcsgw_", "vcspool_", "eyJ"} {
			if strings.HasPrefix(name, prefix) {
				return cli.Usage(fmt.Errorf("%s… is a key or a token, and a name is wanted: don't give secrets on the command line, "+
					"where other users of the machine can see them", prefix))
			}
		}
	}
	return nil
}

// hinted adds to a refusal of the gateway's what to do next.
func hinted(err error) error {
	refused, ok := errors.AsType[*api.Error](err)
	if !ok {
		return err
	}
	hints := map[string]string{
		"unknown_pool":    `"vcs-gateway pool list" shows those that exist.`,
		"unknown_key":     `"vcs-gateway key list" shows those that exist.`,
		"unknown_token":   `"vcs-gateway pool tokens NAME" shows those that exist.`,
		"unauthenticated": "Is the admin key in VCS_GATEWAY_API_KEY, or in the data folder, this gateway's?",
		"last_admin":      `"vcs-gateway key create NAME --admin" makes another.`,
	}
	if hint := hints[refused.Code]; hint != "" {
		return fmt.Errorf("%w %s", err, hint)
	}
	return err
}
