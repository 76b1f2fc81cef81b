-- +goose Up

-- Times are microseconds since 1970 in UTC. Keys appear as SHA-256 only.

CREATE TABLE pools (
    id          TEXT    NOT NULL PRIMARY KEY, -- ULID
    name        TEXT    NOT NULL UNIQUE,      -- lower-case DNS label, never changes
    description TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

-- A table of its own, so that a pool can have two keys while its token is rotated.
CREATE TABLE pool_token_keys (
    pool_id    TEXT    NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
    key_hash   BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (pool_id, key_hash)
) STRICT;

CREATE TABLE keys (
    id         TEXT    NOT NULL PRIMARY KEY, -- ULID
    name       TEXT    NOT NULL UNIQUE,
    admin      INTEGER NOT NULL,             -- 0 or 1
    key_hash   BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE key_pools (
    key_id  TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    pool_id TEXT NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
    PRIMARY KEY (key_id, pool_id)
) STRICT;

-- Deleting a pool looks for the keys that may call it.
CREATE INDEX key_pools_by_pool ON key_pools (pool_id);
