package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// FileName is the database's name in the gateway's data folder.
const FileName = "gateway.db"

const (
	// busyTimeout is how long a statement waits for another process's lock on
	// the file (a backup, say) before it fails.
	busyTimeout = 5 * time.Second
	// readConns bounds the reads that run at the same time; more wait. SQLite
	// reads from memory-mapped log and page cache, so a few keep two cores busy.
	readConns = 4
	// cacheKiB is each connection's page cache. The tables are small and hot
	// pages stay in the kernel's cache anyway; SQLite's own default is 2 MiB.
	cacheKiB = 512
)

// Errors that callers branch on with errors.Is. They come wrapped in sentences
// that name the thing.
var (
	ErrNotFound = errors.New("does not exist")
	ErrExists   = errors.New("already exists")
	// ErrWrongKey says that the pool exists and the key isn't one of its.
	ErrWrongKey = errors.New("the key is not one of the pool's token keys")
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// Store is an open database.
type Store struct {
	// SQLite has one writer at a time. A pool of one connection queues writers
	// in this process fairly instead of letting them poll for the file's lock.
	write *sql.DB
	// Readers never wait for the writer (write-ahead log).
	read *sql.DB
	// keyByHash runs for every request of a caller, so it is prepared once.
	keyByHash *sql.Stmt
}

// Open opens the database at path, creating it (mode 0600) and its folder (mode
// 0700) where they are missing, and brings its schema up to date. Gateways that
// start at the same time on one folder take turns.
//
// It fails with a sentence when the file isn't a database or was written by a
// newer version of this software.
func Open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Store{}
	if err := s.open(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) error {
	var err error
	// synchronous=FULL: a commit returns after fsync of the log.
	s.write, err = connect(path, 1, url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"1"},
		"_txlock":       {"immediate"},
	})
	if err != nil {
		return err
	}
	unlock, err := lockFolder(ctx, filepath.Dir(path))
	if err != nil {
		return err
	}
	err = migrate(ctx, s.write, migrations)
	unlock()
	if err != nil {
		return err
	}
	s.read, err = connect(path, readConns, url.Values{"_query_only": {"1"}})
	if err != nil {
		return err
	}
	s.keyByHash, err = s.read.PrepareContext(ctx, selectKeys+" WHERE k.key_hash = $1 ORDER BY kp.pool_id")
	return err
}

// connect makes a pool of at most conns connections to the file. It opens none
// yet.
func connect(path string, conns int, params url.Values) (*sql.DB, error) {
	params.Set("_busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10))
	params.Set("_dqs", "0") // a misspelt column is an error, not a string
	params.Set("_defensive", "1")
	params.Add("_pragma", fmt.Sprintf("cache_size(-%d)", cacheKiB))
	// The URI form, escaped: a folder's name may contain '?' or '%'.
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: params.Encode()}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// migrate applies what is missing of the migrations, each in a transaction of
// its own. The caller sees to it that no other process does the same.
func migrate(ctx context.Context, db *sql.DB, files fs.FS) error {
	sqliteFiles, err := fs.Sub(files, "migrations/sqlite")
	if err != nil {
		return err
	}
	// The provider is not closed: that would close db.
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sqliteFiles, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	current, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if current > known {
		return fmt.Errorf("its schema has version %d and this software knows versions up to %d: "+
			"start the version that wrote it, or a newer one", current, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("update the schema from version %d to %d: %w", current, known, err)
	}
	return nil
}

// Close waits for calls that are under way and closes the file. The store must
// not be used after it.
func (s *Store) Close() error {
	var errs []error
	if s.keyByHash != nil {
		errs = append(errs, s.keyByHash.Close())
	}
	// The writer last: the last connection to close folds the log into the file,
	// and a reader can't write.
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// inTx runs f in a write transaction and commits it when f returns nil.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // no-op after Commit
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// failed adds the operation to an error of the database's. One that callers
// branch on is a sentence already.
func failed(operation string, err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) {
		return err
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// now is the time to store: what's read back equals it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
