package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Errors that callers branch on with errors.Is. They come wrapped in sentences
// that name the thing.
var (
	ErrNotFound = errors.New("does not exist")
	ErrExists   = errors.New("already exists")
	// ErrWrongKey says that the pool exists and the key isn't one of its.
	ErrWrongKey = errors.New("the key is not one of the pool's token keys")
	// ErrExpired says that the key was the right one until it expired.
	ErrExpired = errors.New("has expired")
	// ErrLastAdmin says that nobody could use the admin API any more.
	ErrLastAdmin = errors.New("is the last admin key that hasn't expired: make another one first")
)

// errUnknownDatabase doesn't show the location, which may have a password.
var errUnknownDatabase = errors.New("a database of this kind is not supported: give a file's path, or " + postgresForm)

// Store is an open database.
type Store struct {
	// SQLite has one writer at a time. A pool of one connection queues writers
	// in this process fairly instead of letting them poll for the file's lock.
	write *sql.DB
	// Readers never wait for the writer.
	read *sql.DB
	// server says that the database is PostgreSQL, whose writers take turns.
	server bool
	// keyByHash runs for every request of a caller, so it is prepared once.
	keyByHash *sql.Stmt
	// insertSome and insertOne add requests on SQLite.
	insertSome, insertOne *sql.Stmt
}

// notAFile is what tells a URL, or the words that other programs take for one,
// from a file's path: "postgres:", "://", "host=". The first group is what may
// be shown: a password may stand anywhere else.
var notAFile = regexp.MustCompile(`(?i)(?:\A\s*([a-z][a-z0-9+.-]*)://|\A\s*(postgres(?:ql)?):|://|(?:\A|\s)(?:host|hostaddr|user|password|dbname)\s*=)`)

// Open opens the database at location, brings its schema up to date, and
// creates it if it's a file that is missing. Gateways that start at the same
// time on one database take turns.
//
// A location that starts with postgres:// or postgresql:// is PostgreSQL's URL
// (version 13 or newer), which must exist and needs a server session per
// connection: a pooler in between must not give a session to several clients by
// turns. Any other is SQLite's file, which gets mode 0600, in a folder of mode
// 0700.
//
// It fails with a sentence when the file isn't a database, the server can't be
// used, or a newer version of this software wrote it. No error has the URL's
// password in it.
func Open(ctx context.Context, location string) (*Store, error) {
	s := &Store{}
	var name string
	var err error
	switch words := notAFile.FindStringSubmatch(location); {
	case IsPostgres(location):
		name, err = s.openPostgres(ctx, location)
	case words == nil:
		name, err = s.openSQLite(ctx, location)
	case words[1] != "":
		name, err = words[1]+"://…", errUnknownDatabase
	default:
		name, err = words[2]+"…", errUnknownDatabase
	}
	if err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", name, err), s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) (err error) {
	s.keyByHash, err = s.read.PrepareContext(ctx, selectKeys+" WHERE k.key_hash = $1 ORDER BY kp.pool_id")
	if err == nil && !s.server {
		err = s.prepareInserts(ctx)
	}
	return err
}

func (s *Store) prepareInserts(ctx context.Context) (err error) {
	if s.insertSome, err = s.write.PrepareContext(ctx, insertRequestsSQLite(requestRowsSQLite)); err != nil {
		return err
	}
	s.insertOne, err = s.write.PrepareContext(ctx, insertRequestsSQLite(1))
	return err
}

// Close waits for calls that are under way and closes the database. The store
// must not be used after it.
func (s *Store) Close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{s.keyByHash, s.insertSome, s.insertOne} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	// The writer last: SQLite's last connection to close folds the log into the
	// file, and a reader can't write.
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// turn is what PostgreSQL's writers take, so that what a transaction has read
// still holds when it writes, and numbers become visible in their order. SQLite
// has one turn for all. The numbers are advisory locks of the database's.
type turn int64

const (
	turnToMigrate turn = 0x766373_01 + iota
	turnToChange       // pools, keys, audit log
	turnToLog          // requests: they hold up no change
)

// inTx runs f in a write transaction, when it's its turn, and commits it when f
// returns nil.
func (s *Store) inTx(ctx context.Context, t turn, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // no-op after Commit
	if s.server {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(t)); err != nil {
			return err
		}
	}
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// failed adds the operation to an error of the database's. One that callers
// branch on is a sentence already.
func failed(operation string, err error) error {
	for _, sentence := range []error{ErrNotFound, ErrExists, ErrWrongKey, ErrExpired, ErrLastAdmin} {
		if errors.Is(err, sentence) {
			return err
		}
	}
	if _, ok := errors.AsType[*InvalidError](err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// now is the time to store: what's read back equals it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// micros is how a time is stored; the zero time, which is none, is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the time that micros stored.
func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// rowsOf runs a query and reads its rows with scan.
func rowsOf[T any](ctx context.Context, q queryer, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanAll(rows, scan)
}

// queryer is a *sql.DB or *sql.Tx.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// scanAll reads rows with scan, and closes them.
func scanAll[T any](rows *sql.Rows, scan func(row) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// row is *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

// execOne runs a statement and says whether it changed a row.
func execOne(ctx context.Context, tx *sql.Tx, query string, args ...any) (bool, error) {
	n, err := execCount(ctx, tx, query, args...)
	return n > 0, err
}

// execCount runs a statement and says how many rows it changed.
func execCount(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insertNew runs an INSERT … ON CONFLICT DO NOTHING. The error wraps ErrExists
// when there was a conflict; what names the thing.
func insertNew(ctx context.Context, tx *sql.Tx, what, query string, args ...any) error {
	inserted, err := execOne(ctx, tx, query, args...)
	if err == nil && !inserted {
		err = fmt.Errorf("%s %w", what, ErrExists)
	}
	return err
}
