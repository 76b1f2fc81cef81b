package store_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"vcsagent/gateway/store"
	"vcsagent/test/servers"
)

// newBackend makes one for what isn't in the suite.
func newBackend(t testing.TB, kind string) backend {
	if kind == "sqlite" {
		return sqliteBackend()
	}
	return postgresBackend(servers.Postgres(t))
}

// What Open fails with names the place, and not the password.
func TestOpenShowsNoPassword(t *testing.T) {
	s := servers.Postgres(t)
	with := func(change func(*url.URL)) string {
		u, err := url.Parse(s.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	const secret = "s3cr3t:w/rd@%"
	escaped := url.QueryEscape(secret)
	for _, tt := range []struct{ what, location, want string }{
		{"wrong password", with(func(u *url.URL) { u.User = url.UserPassword("gateway", secret) }), "password authentication failed"},
		{"wrong password in the query", with(func(u *url.URL) { u.User, u.RawQuery = url.User("gateway"), "password="+escaped }), "password authentication failed"},
		{"no such user", with(func(u *url.URL) { u.User = url.UserPassword("nobody", secret) }), "postgres://nobody@127.0.0.1:"},
		{"no such database", with(func(u *url.URL) { u.Path = "/nowhere" }), "/nowhere"},
		{"no server", with(func(u *url.URL) { u.Host = "127.0.0.1:1" }), "127.0.0.1:1"},
		{"no host of the name", with(func(u *url.URL) { u.Host = "nowhere.invalid" }), "nowhere.invalid"},
		{"password not encoded", "postgres://gateway:" + secret + "@127.0.0.1:1/db", "percent-encode"},
		{"port in words", "postgres://gateway:s3cr3t@127.0.0.1:port/db", "postgres://USER:PASSWORD@HOST:PORT/DATABASE"},
		{"unknown sslmode", "postgres://gateway:s3cr3t@127.0.0.1:1/db?sslmode=perhaps", "postgres://USER:PASSWORD@HOST:PORT/DATABASE"},
		{"another kind", "mysql://gateway:s3cr3t@127.0.0.1:1/db", "mysql://…: a database of this kind is not supported"},
		{"capitals", "Postgres://gateway:s3cr3t@127.0.0.1:1/db", "not supported"},
		{"a space before", " postgres://gateway:s3cr3t@127.0.0.1:1/db", "not supported"},
		{"quotes around", "'postgres://gateway:s3cr3t@127.0.0.1:1/db'", "not supported"},
		{"one slash", "postgres:/gateway:s3cr3t@127.0.0.1:1/db", "postgres…: a database of this kind is not supported"},
		{"no slash", "postgresql:gateway:s3cr3t@127.0.0.1:1/db", "not supported"},
		{"words", "host=127.0.0.1 user=gateway password=s3cr3t", "not supported"},
		{"more words", "dbname = db password = 's3cr3t'", "not supported"},
	} {
		_, err := store.Open(t.Context(), tt.location)
		if err == nil {
			t.Errorf("%s: no error", tt.what)
			continue
		}
		for _, password := range []string{"s3cr3t", escaped, s.Password, url.QueryEscape(s.Password)} {
			if strings.Contains(err.Error(), password) {
				t.Errorf("%s: the error shows a password: %v", tt.what, err)
			}
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %q doesn't say %q", tt.what, err, tt.want)
		}
	}
	if made, _ := filepath.Glob("*[:=]*"); len(made) > 0 {
		t.Errorf("a URL was taken for a file: %v", made)
	}
}

func TestIsPostgres(t *testing.T) {
	for location, want := range map[string]bool{
		"postgres://h/d": true, "postgresql://h/d": true,
		"gateway.db": false, "/var/lib/vcs-gateway/gateway.db": false, "postgres": false, "postgres/gateway.db": false, "/postgres://h": false,
		"Postgres://h/d": false, " postgres://h/d": false, "postgres:/h/d": false, "mysql://h/d": false, "": false,
	} {
		if got := store.IsPostgres(location); got != want {
			t.Errorf("IsPostgres(%q) is %v", location, got)
		}
	}
}

// A server that went away and came back is used again.
func TestStoreOutlivesTheServer(t *testing.T) {
	b := postgresBackend(servers.Postgres(t))
	st, _ := b.fresh(t)
	pool := addPool(t, st, "one")
	key := addKey(t, st, store.NewKey{Name: "backend", Pools: []string{"one"}})
	b.server.Crash(t)
	// A connection that broke may fail one call each.
	works := func() error {
		_, err := st.UpdatePool(t.Context(), admin, pool.ID, store.PoolChange{Paused: ptr(true)})
		if err == nil {
			_, err = st.KeyByHash(t.Context(), store.HashOf("secret of backend"))
		}
		return err
	}
	err := works()
	for range 20 {
		if err == nil {
			break
		}
		err = works()
	}
	if err != nil {
		t.Fatalf("after the server came back: %v", err)
	}
	if k, err := st.KeyByHash(t.Context(), store.HashOf("secret of backend")); err != nil || k.ID != key.ID {
		t.Errorf("the key is %+v, %v", k, err)
	}
}

// Whatever the database's default, a commit waits for the server's disk.
func TestCommitsWaitForTheDisk(t *testing.T) {
	b := postgresBackend(servers.Postgres(t))
	for set, want := range map[string]string{"off": "on", "local": "on", "remote_apply": "remote_apply"} {
		st, location := b.fresh(t)
		st.Close()
		db := b.db(t, location)
		var name string
		if err := db.QueryRow("SELECT current_database()").Scan(&name); err != nil {
			t.Fatal(err)
		}
		b.exec(t, location, "ALTER DATABASE "+name+" SET synchronous_commit = "+set)
		b.exec(t, location, `CREATE TABLE seen AS SELECT '' AS setting;
			CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE seen SET setting = current_setting('synchronous_commit'); RETURN NEW; END $$;
			CREATE TRIGGER note BEFORE INSERT ON pools FOR EACH ROW EXECUTE FUNCTION note()`)
		st = open(t, location)
		addPool(t, st, "one")
		var got string
		if err := db.QueryRow("SELECT setting FROM seen").Scan(&got); err != nil || got != want {
			t.Errorf("with %s as the default, pools are made with %q, %v; want %q", set, got, err, want)
		}
	}
}
