package servers_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"vcsagent/test/servers"
)

func TestPostgres(t *testing.T) {
	s := servers.Postgres(t)
	ask := func(url, query string) (string, error) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			return "", err
		}
		defer conn.Close(t.Context())
		var answer string
		return answer, conn.QueryRow(t.Context(), query).Scan(&answer)
	}
	one, two := s.Database(t), s.Database(t)
	if a, err := ask(one, "SELECT current_database()::text"); err != nil || !strings.HasSuffix(one, "/"+a) || one == two {
		t.Errorf("%s is database %q, %v; another is %s", one, a, err, two)
	}
	if _, err := ask(strings.Replace(one, "gateway:pass", "gateway:word", 1), "SELECT ''"); err == nil {
		t.Error("a wrong password is let in")
	}

	conn, err := pgx.Connect(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 'kept' AS word"); err != nil {
		t.Fatal(err)
	}
	s.Crash(t)
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a connection outlived the server")
	}
	if a, err := ask(one, "SELECT word FROM kept"); err != nil || a != "kept" {
		t.Errorf("after a crash the table holds %q, %v", a, err)
	}
}
