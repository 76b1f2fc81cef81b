// Package store keeps what the gateway must not lose: pools, the keys in their
// tokens, callers' keys, browsers' sign-ins, and who changed them; and the log of
// requests.
//
// It is one SQLite file in the gateway's data folder, or a PostgreSQL database,
// which is opened by its URL and used in the same way:
//
//	st, err := store.Open(ctx, filepath.Join(dataDir, store.FileName))
//	if err != nil {
//		return err
//	}
//	defer st.Close()
//	pool, err := st.CreatePool(ctx, store.Actor{KeyName: "admin"}, store.NewPool{Name: "gitlab", TokenKey: store.HashOf(key)})
//
// What the package guarantees:
//
//   - Once a method that writes has returned nil, its change is on the disk and
//     survives a killed process and a power cut. A change is there whole or not
//     at all, and so is its entry in the audit log.
//   - No key or sign-in's secret is stored, only its SHA-256. They are 32 random bytes, so a plain
//     hash can't be searched back. No error shows the password in a database's
//     URL.
//   - SQLite's file is readable by its owner alone, from the moment it is
//     created.
//   - Memory is small and bounded: with SQLite, four connections that read with
//     a page cache of 512 KiB each and one that writes with 4 MiB; with
//     PostgreSQL, eight connections that read and eight that write.
//   - A page of requests is found in milliseconds among a million, whatever pool,
//     or pool and other field, is asked for, and however many match: in some tens
//     of them on SQLite, if few or none do.
//
// Errors that a caller branches on are [ErrNotFound], [ErrExists],
// [ErrWrongKey], [ErrExpired], [ErrLastAdmin] and [*InvalidError]. They read as
// sentences for whoever sent the request; every other error is the database's
// and belongs in the log.
//
// All methods may be called at the same time from several goroutines, and by
// several gateways on one PostgreSQL.
package store
