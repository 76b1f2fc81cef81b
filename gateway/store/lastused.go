package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Touch notes when callers' keys and pools' token keys, by their IDs, were last
// used. Times go forward only, and keys that are gone are passed over, so a
// batch may come late and from several gateways.
func (s *Store) Touch(ctx context.Context, keys, tokenKeys map[string]time.Time) error {
	if len(keys)+len(tokenKeys) == 0 {
		return nil
	}
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		for _, t := range []struct {
			table string
			used  map[string]time.Time
		}{{"keys", keys}, {"token_keys", tokenKeys}} {
			for _, id := range slices.Sorted(maps.Keys(t.used)) {
				_, err := tx.ExecContext(ctx, "UPDATE "+t.table+" SET last_used_at = $1 WHERE id = $2 AND last_used_at < $1", micros(t.used[id]), clip(id, maxID))
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note when keys were used: %w", err)
	}
	return nil
}
