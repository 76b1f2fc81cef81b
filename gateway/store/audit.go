package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// How many entries the audit log keeps; the oldest go. Who comes and goes has a
// bound of its own: others than admins can bring such entries about, and must not
// push out what admins changed.
const (
	MaxAudit  = 100_000 // changes
	MaxVisits = 20_000  // sign-ins, sign-outs, and agents that joined
	// AuditSurplus is how many entries more than that there may be for a while:
	// the old ones are removed that many at a time.
	AuditSurplus = 1000
)

// visits are the actions that count for MaxVisits, in SQL.
const visits = "('" + ActionSignIn + "', '" + ActionSignOut + "', '" + ActionAgentJoin + "')"

// Actor is who changes something: the owner of an admin key. The zero Actor is
// the gateway itself.
type Actor struct {
	KeyID   string
	KeyName string
	Remote  string // the network address that the request came from
}

// Target is what was changed, with the name it had then.
type Target struct {
	Kind string // "pool" or "key", or what [Store.AddAudit] was given
	ID   string
	Name string
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	ID     int64 // increases; the cursor of [AuditFilter]
	At     time.Time
	Actor  Actor
	Action string            // such as "pool.create"
	Target Target            // zero where there's none
	Detail map[string]string // what changed, and to what; never a secret
}

// Actions that the store writes itself. Those on a pool's token keys have the
// pool as their target and the key's ID in the detail "token_key". An update's
// detail has the new value of each field that changed.
const (
	ActionPoolCreate  = "pool.create"
	ActionPoolUpdate  = "pool.update"
	ActionPoolDelete  = "pool.delete"
	ActionTokenAdd    = "token.add"
	ActionTokenExpire = "token.expire"
	ActionTokenRevoke = "token.revoke"
	ActionKeyCreate   = "key.create"
	ActionKeyUpdate   = "key.update"
	ActionKeyDelete   = "key.delete"
	ActionSignIn      = "sign_in" // the target is the key
	ActionSignOut     = "sign_out"
	ActionAgentJoin   = "agent.join" // for the first time; the target is the pool
)

// Bounds of an entry's strings; what is longer is cut.
const (
	maxAuditWord   = 256
	maxAuditDetail = 8192 // a key's pools and a pool's networks fit
)

// AuditFilter selects entries. Fields that are zero select all.
type AuditFilter struct {
	Before int64  // entries with a smaller ID
	Action string // exactly this one
	Target string // a target's ID or name
	Limit  int    // 0 or more than MaxPage: MaxPage
}

// AddAudit writes an entry for what is no change in the store, such as a sign-in
// that was refused. Long strings are cut.
func (s *Store) AddAudit(ctx context.Context, by Actor, action string, target Target, detail map[string]string) error {
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error { return audit(ctx, tx, by, action, target, detail) })
	if err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	return nil
}

// audit writes an entry in the transaction of what it tells of, so that there is
// no change without its entry.
func audit(ctx context.Context, tx *sql.Tx, by Actor, action string, target Target, detail map[string]string) error {
	clipped := make(map[string]string, len(detail))
	for k, v := range detail {
		clipped[clip(k, maxAuditWord)] = clip(v, maxAuditDetail)
	}
	text, err := json.Marshal(clipped)
	if err != nil {
		return err
	}
	var id int64
	err = tx.QueryRowContext(ctx, `INSERT INTO audit (at, key_id, key_name, remote, action, target_kind, target_id, target_name, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`,
		now().UnixMicro(), clip(by.KeyID, maxAuditWord), clip(by.KeyName, maxAuditWord), clip(by.Remote, maxAuditWord), clip(action, maxAuditWord),
		clip(target.Kind, maxAuditWord), clip(target.ID, maxAuditWord), clip(target.Name, maxAuditWord), string(text)).Scan(&id)
	if err != nil {
		return err
	}
	if id%AuditSurplus != 0 {
		return nil
	}
	return pruneAudit(ctx, tx)
}

// pruneAudit removes the entries that are too many. It goes through the whole
// log, tens of milliseconds, since IDs don't tell how many of a kind there are.
func pruneAudit(ctx context.Context, tx *sql.Tx) error {
	for _, kind := range []struct {
		is   string
		keep int
	}{{"action NOT IN " + visits, MaxAudit}, {"action IN " + visits, MaxVisits}} {
		_, err := tx.ExecContext(ctx, "DELETE FROM audit WHERE "+kind.is+" AND id <= (SELECT id FROM audit WHERE "+kind.is+" ORDER BY id DESC LIMIT 1 OFFSET $1)", kind.keep)
		if err != nil {
			return err
		}
	}
	return nil
}

// Audit returns entries, newest first.
func (s *Store) Audit(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	var where conditions
	if f.Before > 0 {
		where.add("id < %s", f.Before)
	}
	if f.Action != "" {
		where.add("action = %s", clip(f.Action, maxAuditWord))
	}
	if f.Target != "" {
		where.add("%s IN (target_id, target_name)", clip(f.Target, maxAuditWord))
	}
	query := "SELECT id, at, key_id, key_name, remote, action, target_kind, target_id, target_name, detail FROM audit" +
		where.String() + " ORDER BY id DESC LIMIT " + where.arg(page(f.Limit))
	entries, err := rowsOf(ctx, s.read, scanAudit, query, where.args...)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return entries, nil
}

func scanAudit(r row) (AuditEntry, error) {
	var e AuditEntry
	var at int64
	var detail string
	if err := r.Scan(&e.ID, &at, &e.Actor.KeyID, &e.Actor.KeyName, &e.Actor.Remote, &e.Action,
		&e.Target.Kind, &e.Target.ID, &e.Target.Name, &detail); err != nil {
		return AuditEntry{}, err
	}
	e.At = fromMicros(at)
	return e, json.Unmarshal([]byte(detail), &e.Detail)
}
