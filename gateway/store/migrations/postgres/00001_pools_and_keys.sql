-- +goose Up

-- Times are microseconds since 1970 in UTC. Keys appear as SHA-256 only. The
-- versions are those of migrations/sqlite: the same number is the same schema.

CREATE TABLE pools (
    id          TEXT               NOT NULL PRIMARY KEY, -- ULID
    name        TEXT   COLLATE "C" NOT NULL UNIQUE,      -- lower-case DNS label, never changes
    description TEXT               NOT NULL,
    created_at  BIGINT             NOT NULL
);

-- A table of its own, so that a pool can have two keys while its token is rotated.
CREATE TABLE pool_token_keys (
    pool_id    TEXT   NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
    key_hash   BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (pool_id, key_hash)
);

CREATE TABLE keys (
    id         TEXT               NOT NULL PRIMARY KEY, -- ULID
    name       TEXT   COLLATE "C" NOT NULL UNIQUE,
    admin      BOOLEAN            NOT NULL,
    key_hash   BYTEA              NOT NULL UNIQUE,
    created_at BIGINT             NOT NULL
);

CREATE TABLE key_pools (
    key_id  TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    pool_id TEXT NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
    PRIMARY KEY (key_id, pool_id)
);

-- Deleting a pool looks for the keys that may call it.
CREATE INDEX key_pools_by_pool ON key_pools (pool_id);
