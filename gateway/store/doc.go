// Package store keeps what the gateway must not lose: pools, the keys in their
// tokens, and callers' keys.
//
// It is one SQLite file in the gateway's data folder:
//
//	st, err := store.Open(ctx, filepath.Join(dataDir, store.FileName))
//	if err != nil {
//		return err
//	}
//	defer st.Close()
//	pool, err := st.CreatePool(ctx, "gitlab", "the company's GitLab", store.HashOf(key))
//
// What the package guarantees:
//
//   - Once a method that writes has returned nil, its change is on the disk and
//     survives a killed process and a power cut. A change is there whole or not
//     at all.
//   - No key is stored, only its SHA-256. Keys are 32 random bytes, so a plain
//     hash can't be searched back.
//   - The file is readable by its owner alone, from the moment it is created.
//   - Memory is small and bounded: five connections with a page cache of 512 KiB
//     each.
//
// Errors that a caller branches on are [ErrNotFound], [ErrExists], [ErrWrongKey]
// and [*InvalidError]. They read as sentences for whoever sent the request;
// every other error is the database's and belongs in the log.
//
// All methods may be called at the same time from several goroutines.
package store
