package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// FileName is SQLite's database in the gateway's data folder.
const FileName = "gateway.db"

const (
	// busyTimeout is how long a statement waits for another process's lock on
	// the database (a backup, say) before it fails.
	busyTimeout = 5 * time.Second
	// readConns bounds the reads that run at the same time; more wait. SQLite
	// reads from memory-mapped log and page cache, so a few keep two cores busy.
	readConns = 4
	// readCacheKiB is each reader's page cache. Hot pages stay in the kernel's
	// cache anyway; SQLite's own default is 2 MiB.
	readCacheKiB = 512
	// writeCacheKiB is the writer's. Four times as much would take a quarter off
	// what a request with a random ID of a caller's costs, and nothing off one
	// with an ID of ours: memory is worth more.
	writeCacheKiB = 4 << 10
	// checkpointPages is how long the log gets before it is folded into the
	// file, in pages of 4 KiB: several batches, that change the same pages of
	// the index by ID.
	checkpointPages = 4000
)

func (s *Store) openSQLite(ctx context.Context, path string) (name string, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return path, err
	}
	if err := createPrivate(path); err != nil {
		return path, err
	}
	// synchronous=FULL: a commit returns after fsync of the log.
	s.write, err = connect(path, 1, writeCacheKiB, url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"1"},
		"_txlock":       {"immediate"},
		"_pragma":       {fmt.Sprintf("wal_autocheckpoint(%d)", checkpointPages)},
	})
	if err != nil {
		return path, err
	}
	unlock, err := lockFolder(ctx, filepath.Dir(path))
	if err != nil {
		return path, err
	}
	err = migrate(ctx, s.write, goose.DialectSQLite3, "sqlite", blocksMigration())
	unlock()
	if err != nil {
		return path, err
	}
	s.read, err = connect(path, readConns, readCacheKiB, url.Values{"_query_only": {"1"}})
	return path, err
}

// connect makes a pool of at most conns connections to the file. It opens none
// yet.
func connect(path string, conns, cacheKiB int, params url.Values) (*sql.DB, error) {
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
