package servers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
)

// ncsaAuth checks a user and password against a file, for squid.
const ncsaAuth = "/usr/lib/squid/basic_ncsa_auth"

// SquidOptions says which squid to run. The zero value is an HTTP proxy on
// loopback that lets everybody through.
type SquidOptions struct {
	User, Password string     // what clients must present with Basic; no user asks for nothing
	TLS            bool       // an HTTPS proxy, with a CA of its own
	In             *Namespace // where it runs; nil means the test's own network
	Addr           string     // IP address, with or without a port; "" means 127.0.0.1 and a free port

	Hosts map[string]string // names and the addresses that the proxy finds for them, in place of the system's /etc/hosts; nil keeps that
}

// Squid runs squid as an HTTP or HTTPS proxy that forwards requests and allows
// CONNECT to any port, and keeps nothing.
func Squid(t testing.TB, o SquidOptions) *Proxy {
	t.Helper()
	squid, dir := lookPath(t, "squid"), t.TempDir()
	var runAs *syscall.SysProcAttr
	if os.Geteuid() == 0 {
		dir, runAs = asProxyUser(t)
	}
	conf := squidConf{Dir: dir, TLS: o.TLS, Auth: o.User != "", Hosts: o.Hosts != nil, AuthHelper: ncsaAuth}
	if conf.Hosts {
		var hosts strings.Builder
		for name, addr := range o.Hosts {
			fmt.Fprintf(&hosts, "%s %s\n", addr, name)
		}
		writeFile(t, filepath.Join(dir, "hosts"), hosts.String())
	}
	if conf.Auth {
		writeFile(t, filepath.Join(dir, "users"), o.User+":"+hash(t, o.Password)+"\n")
	}
	proxy := &Proxy{accessLog: func() string { return readFile(filepath.Join(dir, "access.log")) }}
	if o.TLS {
		host, _, err := splitAddr(o.Addr)
		if err != nil {
			t.Fatal(err)
		}
		proxy.CAFile = certificate(t, dir, net.ParseIP(host))
	}
	proxy.Process, proxy.Addr = listening(t, o.In, o.Addr, func(addr string) *exec.Cmd {
		conf.Addr = addr
		var text strings.Builder
		if err := squidTemplate.Execute(&text, conf); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "squid.conf"), text.String())
		// Several squids tell their shared memory apart by the service name,
		// and leave it behind when they are killed.
		_, port, _ := net.SplitHostPort(addr)
		service := fmt.Sprintf("test%dport%s", os.Getpid(), port)
		t.Cleanup(func() { removeAll(filepath.Join("/dev/shm", service+"-*")) })
		cmd := exec.Command(squid, "-N", "-d1", "-n", service, "-f", filepath.Join(dir, "squid.conf"))
		cmd.SysProcAttr = runAs
		return cmd
	})
	proxy.end = syscall.SIGKILL // an orderly end takes squid two seconds at the least
	scheme := "http"
	if o.TLS {
		scheme = "https"
	}
	proxy.URL = proxyURL(scheme, proxy.Addr, o.User, o.Password)
	return proxy
}

// removeAll removes the files that match a pattern.
func removeAll(pattern string) {
	names, _ := filepath.Glob(pattern)
	for _, name := range names {
		os.Remove(name)
	}
}

type squidConf struct {
	Dir, Addr, AuthHelper string
	TLS, Auth, Hosts      bool
}

// The package's own configuration allows CONNECT to port 443 alone; this one
// stands by itself.
var squidTemplate = template.Must(template.New("squid.conf").Parse(`
{{- if .TLS}}https_port {{.Addr}} tls-cert={{.Dir}}/cert.pem tls-key={{.Dir}}/key.pem
{{- else}}http_port {{.Addr}}{{end}}
visible_hostname squid.test
{{- if .Hosts}}
hosts_file {{.Dir}}/hosts
{{- end}}
{{- if .Auth}}
auth_param basic program {{.AuthHelper}} {{.Dir}}/users
auth_param basic children 1 startup=1 idle=1
auth_param basic realm squid
acl users proxy_auth REQUIRED
http_access allow users
http_access deny all
{{- else}}
http_access allow all
{{- end}}
cache deny all
cache_mem 0
cache_store_log none
access_log stdio:{{.Dir}}/access.log
cache_log /dev/null
logfile_rotate 0
pid_filename {{.Dir}}/squid.pid
coredump_dir {{.Dir}}
netdb_filename none
pinger_enable off
max_filedescriptors 1024
shutdown_lifetime 0 seconds
`))

// asProxyUser says how to run a command as Debian's user "proxy", and makes a
// temporary directory that this user gets at: squid refuses to run as root, and
// only root enters t.TempDir().
func asProxyUser(t testing.TB) (dir string, as *syscall.SysProcAttr) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("prepare to run squid: %v", err)
		}
	}
	u, err := user.Lookup("proxy")
	must(err)
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	must(err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	must(err)
	dir, err = os.MkdirTemp("", "squid-")
	must(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(os.Chown(dir, int(uid), int(gid)))
	return dir, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
