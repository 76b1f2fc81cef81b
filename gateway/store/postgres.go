package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// postgresForm is how to write its location, for sentences.
	postgresForm = "postgres://USER:PASSWORD@HOST:PORT/DATABASE"
	// serverConns bounds each of the two pools of connections.
	serverConns = 8
	// connectTimeout bounds the wait for a connection, unless the URL says
	// otherwise.
	connectTimeout = 10 * time.Second
	// abandoned is how long a transaction may lie still before the server ends
	// it. A gateway whose machine has gone would else keep its turn, and every
	// other writer waiting, until TCP gives up: hours.
	abandoned = 15 * time.Second
)

// Settings of a server's session, made when a connection is new.
var (
	// A commit returns when the server's log is on its disk, whatever the
	// database's or the user's default; stricter ones stay.
	writeSession = []string{
		"SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')",
		fmt.Sprintf("SET lock_timeout = %d", busyTimeout.Milliseconds()),
		fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", abandoned.Milliseconds()),
	}
	readSession = []string{
		"SET default_transaction_read_only = on",
		// Filters differ in how many rows match, so a plan is made for the
		// values at hand: one for all values would read the whole table for some.
		"SET plan_cache_mode = force_custom_plan",
		// Pages are read in an index's order, from its end. A bitmap of all that
		// match would be as good only if they were as few as last counted.
		"SET enable_bitmapscan = off",
		// Compiling takes longer than any of the queries.
		"SET jit = off",
	}
)

// postgresScheme is how its locations begin.
var postgresScheme = regexp.MustCompile(`\Apostgres(ql)?://`)

// IsPostgres says whether [Open] would take a location for PostgreSQL's URL and
// not for SQLite's file.
func IsPostgres(location string) bool { return postgresScheme.MatchString(location) }

func (s *Store) openPostgres(ctx context.Context, location string) (name string, err error) {
	cfg, err := pgx.ParseConfig(location)
	if err != nil {
		// Its text has what couldn't be told apart, which may be a password.
		return "postgres://…", errors.New("this is no URL of a PostgreSQL database: use " + postgresForm +
			", and percent-encode what is special in the user's name and the password")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	name = postgresName(cfg)
	s.server = true
	unlock, err := lockDatabase(ctx, cfg)
	if err != nil {
		return name, err
	}
	s.write = connectServer(cfg, writeSession)
	err = migrate(ctx, s.write, goose.DialectPostgres, "postgres")
	unlock()
	if err != nil {
		return name, err
	}
	s.read = connectServer(cfg, readSession)
	return name, nil
}

// postgresName names a database without what is secret in its URL.
func postgresName(cfg *pgx.ConnConfig) string {
	u := url.URL{Scheme: "postgres", User: url.User(cfg.User), Host: net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))), Path: "/" + cfg.Database}
	return u.String()
}

// lockDatabase waits until no other process holds the lock on migrations, and
// takes it. It is the connection's own, so it ends with the process.
func lockDatabase(ctx context.Context, cfg *pgx.ConnConfig) (unlock func(), err error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	unlock = func() { conn.Close(context.WithoutCancel(ctx)) }
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(turnToMigrate)); err != nil {
		unlock()
		return nil, fmt.Errorf("wait for another start on the database: %w", err)
	}
	return unlock, nil
}

// connectServer makes a pool of connections, each with these settings. It opens
// none yet.
func connectServer(cfg *pgx.ConnConfig, settings []string) *sql.DB {
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		for _, setting := range settings {
			if _, err := conn.Exec(ctx, setting); err != nil {
				return err
			}
		}
		return nil
	}))
	db.SetMaxOpenConns(serverConns)
	db.SetMaxIdleConns(serverConns)
	// A server behind a new address, or a promoted standby, is found in time.
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db
}
