package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"vcsagent/gateway/store"
	"vcsagent/test/servers"
)

// suite is what holds on either database.
var suite = []struct {
	name string
	run  func(*testing.T, backend)
}{
	{"Reopen", testReopen},
	{"CommittedIsVisibleToASecondStore", testCommittedIsVisibleToASecondStore},
	{"OpenRefusesANewerSchema", testOpenRefusesANewerSchema},
	{"OpenUpdatesTheFirstSchema", testOpenUpdatesTheFirstSchema},
	{"OpenAtTheSameTime", testOpenAtTheSameTime},
	{"OpenStopsWithItsContext", testOpenStopsWithItsContext},
	{"ReadersAndWritersTogether", testReadersAndWritersTogether},
	{"TwoStoresWriteTogether", testTwoStoresWriteTogether},
	{"OneNameManyWriters", testOneNameManyWriters},
	{"TimesAreUTCAndKeptWhole", testTimesAreUTCAndKeptWhole},
	{"CreatePoolNames", testCreatePoolNames},
	{"InvalidNamesAreShownShort", testInvalidNamesAreShownShort},
	{"PoolsAreListedByName", testPoolsAreListedByName},
	{"PoolByName", testPoolByName},
	{"PoolByID", testPoolByID},
	{"PoolByTokenKey", testPoolByTokenKey},
	{"PoolLimits", testPoolLimits},
	{"UpdatePool", testUpdatePool},
	{"DeletePool", testDeletePool},
	{"RotateToken", testRotateToken},
	{"TokenKeysAreBounded", testTokenKeysAreBounded},
	{"ExpireTokenKey", testExpireTokenKey},
	{"CreateKey", testCreateKey},
	{"KeyByHashOfAnUnknownKey", testKeyByHashOfAnUnknownKey},
	{"KeyByName", testKeyByName},
	{"UpdateKey", testUpdateKey},
	{"KeysExpire", testKeysExpire},
	{"DeleteKey", testDeleteKey},
	{"OneAdminStays", testOneAdminStays},
	{"Touch", testTouch},
	{"SignIns", testSignIns},
	{"SignInsExpire", testSignInsExpire},
	{"SignInsAreBounded", testSignInsAreBounded},
	{"Audit", testAudit},
	{"AuditIsWrittenWithTheChange", testAuditIsWrittenWithTheChange},
	{"AuditIsBounded", testAuditIsBounded},
	{"SeeInstance", testSeeInstance},
	{"JoinsAreAuditedWithinABound", testJoinsAreAuditedWithinABound},
	{"JoinIsWrittenWithItsEntry", testJoinIsWrittenWithItsEntry},
	{"InstancesAreBounded", testInstancesAreBounded},
	{"NewInstancesPushOutEachOther", testNewInstancesPushOutEachOther},
	{"Requests", testRequests},
	{"RequestsPages", testRequestsPages},
	{"RequestsAreBounded", testRequestsAreBounded},
	{"RequestsReadNoMoreThanTheyReturn", testRequestsReadNoMoreThanTheyReturn},
	{"RequestsAreTheOnesThatMatch", testRequestsAreTheOnesThatMatch},
	{"RequestsOfOneTime", testRequestsOfOneTime},
	{"AddRequestsSetsSeq", testAddRequestsSetsSeq},
	{"RequestsAfter", testRequestsAfter},
	{"RequestsAfterIsBounded", testRequestsAfterIsBounded},
	{"FollowersMissNothing", testFollowersMissNothing},
	{"Matches", testMatches},
	{"PruneRequests", testPruneRequests},
	{"PruneStopsNoWriter", testPruneStopsNoWriter},
	{"Traffic", testTraffic},
	{"Counts", testCounts},
	{"KillTheWriter", testKillTheWriter},
}

func TestSQLite(t *testing.T) { run(t, sqliteBackend()) }

func TestPostgreSQL(t *testing.T) { run(t, postgresBackend(servers.Postgres(t))) }

func run(t *testing.T, b backend) {
	for _, test := range suite {
		t.Run(test.name, func(t *testing.T) { test.run(t, b) })
	}
}

// backend is a kind of database.
type backend struct {
	driver string // of database/sql
	// location makes a place for a new database.
	location func(testing.TB) string
	server   *servers.PostgresServer // nil: SQLite
}

func sqliteBackend() backend {
	return backend{driver: "sqlite", location: func(t testing.TB) string { return filepath.Join(t.TempDir(), store.FileName) }}
}

func postgresBackend(s *servers.PostgresServer) backend {
	return backend{driver: "pgx", location: func(t testing.TB) string { return s.Database(t) }, server: s}
}

// open opens the store at location and closes it with the test.
func open(t testing.TB, location string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// fresh opens a new store and says where it is.
func (b backend) fresh(t testing.TB) (st *store.Store, location string) {
	t.Helper()
	location = b.location(t)
	return open(t, location), location
}

// db opens the database behind the store's back.
func (b backend) db(t testing.TB, location string) *sql.DB {
	t.Helper()
	db, err := sql.Open(b.driver, location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// exec changes the database behind the store's back.
func (b backend) exec(t testing.TB, location, query string, args ...any) {
	t.Helper()
	db := b.db(t, location)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// admin is who changes things in tests.
var admin = store.Actor{KeyID: "01ADMIN", KeyName: "admin", Remote: "192.0.2.1:1234"}

// addPool makes a pool whose token key is "token of NAME".
func addPool(t testing.TB, st *store.Store, name string) store.Pool {
	t.Helper()
	p, err := st.CreatePool(t.Context(), admin, store.NewPool{Name: name, TokenKey: store.HashOf("token of " + name)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// addKey makes a key whose secret is "secret of NAME".
func addKey(t testing.TB, st *store.Store, n store.NewKey) store.Key {
	t.Helper()
	n.Hash = store.HashOf("secret of " + n.Name)
	k, err := st.CreateKey(t.Context(), admin, n)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ptr points at a value, for a change.
func ptr[T any](v T) *T { return &v }
