package servers

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

const (
	// postgresUser is the superuser that the server is made with.
	postgresUser = "gateway"
	// postgresPassword is its password. What percent-encoding changes is in
	// it, so that a test sees whether a URL's parts are kept apart.
	postgresPassword = "pass:w/rd@%"
)

// PostgresServer is a running PostgreSQL on loopback. It asks for a password
// and has no TLS.
type PostgresServer struct {
	*Process

	// URL is its first database's, with user and password. [PostgresServer.Database]
	// makes others.
	URL string
	// Password is what stands percent-encoded in URL.
	Password string

	start     func()
	databases atomic.Int64
}

// Postgres runs a PostgreSQL with a cluster of its own. Since it refuses to run
// as root, it runs as Debian's user "postgres" then.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	dir := t.TempDir()
	var runAs *syscall.SysProcAttr
	if os.Geteuid() == 0 {
		dir, runAs = asPostgresUser(t)
	}
	data := filepath.Join(dir, "data")
	writeFile(t, filepath.Join(dir, "password"), postgresPassword)
	initdb := exec.Command(postgresProgram(t, "initdb"), "--pgdata="+data, "--username="+postgresUser, "--pwfile="+filepath.Join(dir, "password"),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, runAs
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", initdb, err, out)
	}

	s := &PostgresServer{Password: postgresPassword}
	postgres, addr := postgresProgram(t, "postgres"), ""
	s.start = func() {
		t.Helper()
		s.Process, addr = listening(t, nil, addr, func(addr string) *exec.Cmd {
			host, port, _ := splitAddr(addr)
			cmd := exec.Command(postgres, "-D", data, "-h", host, "-p", port,
				"-c", "unix_socket_directories=", "-c", "shared_buffers=64MB", "-c", "max_connections=200",
				// The machine outlives the tests; what is written, a killed
				// server finds again.
				"-c", "fsync=off")
			cmd.Dir, cmd.SysProcAttr = dir, runAs
			return cmd
		})
		s.end = syscall.SIGINT // SIGTERM waits for its clients
		s.URL = (&url.URL{Scheme: "postgres", User: url.UserPassword(postgresUser, postgresPassword), Host: addr, Path: "/postgres"}).String()
		// It accepts before it has read its log, and says so to whoever comes.
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := poll(ctx, s.Process, func() error { return s.exec(ctx, "SELECT 1") }); err != nil {
			t.Fatalf("PostgreSQL: %v", err)
		}
	}
	s.start()
	return s
}

// Database makes an empty database and returns its URL.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

// Crash ends the server at once, without a checkpoint and in the middle of what
// its clients do, and starts it again on the same address. It returns when the
// server has recovered.
func (s *PostgresServer) Crash(t testing.TB) {
	t.Helper()
	if err := s.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	s.ExitCode(t, stopTimeout)
	s.start()
}

func (s *PostgresServer) exec(ctx context.Context, query string) error {
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, query)
	return err
}

// postgresProgram finds one of the server's programs, of which Debian keeps one
// set per version outside the PATH.
func postgresProgram(t testing.TB, name string) string {
	t.Helper()
	if paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(paths) > 0 {
		return paths[len(paths)-1]
	}
	return lookPath(t, name)
}

// asPostgresUser says how to run a command as Debian's user "postgres", and
// makes a temporary directory of this user's: only root enters t.TempDir().
func asPostgresUser(t testing.TB) (dir string, as *syscall.SysProcAttr) {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("prepare to run PostgreSQL: %v; run test/setup.sh", err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	dir, err = os.MkdirTemp("", "postgres-")
	if err != nil || uidErr != nil || gidErr != nil {
		t.Fatalf("prepare to run PostgreSQL: %v, %v, %v", err, uidErr, gidErr)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatalf("prepare to run PostgreSQL: %v", err)
	}
	return dir, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
