package servers

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
)

// DanteOptions says which danted to run. The zero value is a SOCKS5 proxy on
// loopback that lets everybody through.
type DanteOptions struct {
	User, Password string     // what clients must present; no user asks for nothing
	In             *Namespace // where it runs; nil means the test's own network
	Addr           string     // IP address, with or without a port; "" means 127.0.0.1 and a free port
}

// Dante runs danted as a SOCKS5 proxy, which connects to targets from the
// address that it listens on.
//
// danted asks the system for users and passwords. With a User it therefore
// needs root: it gets a mount namespace in which /etc/passwd and /etc/shadow
// are copies that know that user, so the machine's own files stay as they are.
func Dante(t testing.TB, o DanteOptions) *Proxy {
	t.Helper()
	danted, dir := lookPath(t, "danted"), t.TempDir()
	host, _, err := splitAddr(o.Addr)
	if err != nil {
		t.Fatal(err)
	}
	conf := danteConf{External: host, Auth: o.User != "", User: username(t)}
	if conf.Auth {
		copyAccounts(t, dir, o.User, o.Password)
	}
	proxy := &Proxy{}
	proxy.Process, proxy.Addr = listening(t, o.In, o.Addr, func(addr string) *exec.Cmd {
		if conf.Host, conf.Port, err = net.SplitHostPort(addr); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := danteTemplate.Execute(&text, conf); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "danted.conf"), text.String())

		args := []string{danted, "-f", filepath.Join(dir, "danted.conf"), "-p", filepath.Join(dir, "danted.pid")}
		cmd := exec.Command(args[0], args[1:]...)
		if conf.Auth {
			cmd = exec.Command("/bin/sh", append([]string{"-c", withAccounts, danted, dir}, args...)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		}
		cmd.Env = append(os.Environ(), "TMPDIR="+dir) // for its lock file
		return cmd
	})
	proxy.accessLog = proxy.Log
	proxy.URL = proxyURL("socks5", proxy.Addr, o.User, o.Password)
	return proxy
}

// withAccounts, in a mount namespace, puts the copies of copyAccounts in place
// and becomes the command that follows.
const withAccounts = `
mount --bind "$1/passwd" /etc/passwd &&
mount --bind "$1/shadow" /etc/shadow &&
shift && exec "$@"`

// copyAccounts writes passwd and shadow into dir: the system's, and one user
// more, who can't log in.
func copyAccounts(t testing.TB, dir, user, password string) {
	t.Helper()
	for name, line := range map[string]string{
		"passwd": user + ":x:64999:64999::/nonexistent:/usr/sbin/nologin\n",
		"shadow": user + ":" + hash(t, password) + ":19000::::::\n",
	} {
		system, err := os.ReadFile("/etc/" + name)
		if err != nil {
			t.Fatalf("%v (a SOCKS proxy with a password needs root)", err)
		}
		writeFile(t, filepath.Join(dir, name), string(system)+line)
	}
}

// username is who danted runs as all the time: who started it.
func username(t testing.TB) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

type danteConf struct {
	Host, Port, External, User string
	Auth                       bool
}

var danteTemplate = template.Must(template.New("danted.conf").Parse(`
logoutput: stderr
internal: {{.Host}} port = {{.Port}}
external: {{.External}}
clientmethod: none
socksmethod: {{if .Auth}}username{{else}}none{{end}}
user.privileged: {{.User}}
user.unprivileged: {{.User}}
client pass {
	from: 0.0.0.0/0 to: 0.0.0.0/0
	log: error
}
socks pass {
	from: 0.0.0.0/0 to: 0.0.0.0/0
	command: connect
	log: error connect disconnect
}
`))
