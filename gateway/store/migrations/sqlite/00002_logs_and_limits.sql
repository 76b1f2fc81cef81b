-- +goose Up

-- Limits of 0 are the gateway's defaults. Times of 0 are none: never used, never
-- expires. Durations are microseconds. Networks are CIDR prefixes with a space
-- between them.

ALTER TABLE pools ADD COLUMN paused              INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN max_parallelism     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN networks            TEXT    NOT NULL DEFAULT '';
ALTER TABLE pools ADD COLUMN requests_per_second REAL    NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN burst               INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN in_flight           INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN body_bytes          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN queue_length        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN queue_wait          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN updated_at          INTEGER NOT NULL DEFAULT 0;
UPDATE pools SET updated_at = created_at;

ALTER TABLE keys ADD COLUMN requests_per_second REAL    NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN burst               INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN in_flight           INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN body_bytes          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN queue_length        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN queue_wait          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN last_used_at        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN expires_at          INTEGER NOT NULL DEFAULT 0;

-- Keys get an ID of their own, by which they are revoked. Those that are there
-- get one that looks like a ULID.
CREATE TABLE token_keys (
    id           TEXT    NOT NULL PRIMARY KEY, -- ULID
    pool_id      TEXT    NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
    key_hash     BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL DEFAULT 0,
    expires_at   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pool_id, key_hash)
) STRICT;
INSERT INTO token_keys (id, pool_id, key_hash, created_at)
    SELECT '0' || substr(hex(randomblob(13)), 1, 25), pool_id, key_hash, created_at FROM pool_token_keys;
DROP TABLE pool_token_keys;

-- What agents have joined a pool before.
CREATE TABLE instances (
    pool_id    TEXT    NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
    instance   TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    PRIMARY KEY (pool_id, instance)
) STRICT;
CREATE INDEX instances_by_last_seen ON instances (pool_id, last_seen);

-- Entries outlive the keys and pools that they name.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice: it's the cursor
    at          INTEGER NOT NULL,
    key_id      TEXT    NOT NULL, -- the actor
    key_name    TEXT    NOT NULL,
    remote      TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    target_kind TEXT    NOT NULL,
    target_id   TEXT    NOT NULL,
    target_name TEXT    NOT NULL,
    detail      TEXT    NOT NULL  -- JSON: an object of strings
) STRICT;
CREATE INDEX audit_by_action ON audit (action);
CREATE INDEX audit_by_target_id ON audit (target_id);
CREATE INDEX audit_by_target_name ON audit (target_name);

-- As entries of the audit log, requests outlive what they name.
CREATE TABLE requests (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice: it's the cursor
    id         TEXT    NOT NULL, -- the caller's X-Request-Id, or ours: not unique
    at         INTEGER NOT NULL,
    pool_id    TEXT    NOT NULL,
    pool_name  TEXT    NOT NULL,
    key_id     TEXT    NOT NULL,
    key_name   TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    instance   TEXT    NOT NULL,
    stream     INTEGER NOT NULL,
    method     TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    status     INTEGER NOT NULL,
    queued     INTEGER NOT NULL,
    first_byte INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    bytes_in   INTEGER NOT NULL,
    bytes_out  INTEGER NOT NULL
) STRICT;

-- Pages are read newest first, by (at, seq), from the index that has the filter's
-- columns in front: however many or few rows match, no other row is looked at.
-- Each index ends with the rowid, which is seq.
CREATE INDEX requests_by_at           ON requests (at);
CREATE INDEX requests_by_id           ON requests (id, at);
CREATE INDEX requests_by_key          ON requests (key_id, at);
CREATE INDEX requests_by_outcome      ON requests (outcome, at);
CREATE INDEX requests_by_name         ON requests (name, at);
CREATE INDEX requests_by_project      ON requests (project, at);
CREATE INDEX requests_by_pool         ON requests (pool_id, at);
CREATE INDEX requests_by_pool_key     ON requests (pool_id, key_id, at);
CREATE INDEX requests_by_pool_outcome ON requests (pool_id, outcome, at);
CREATE INDEX requests_by_pool_name    ON requests (pool_id, name, at);
CREATE INDEX requests_by_pool_project ON requests (pool_id, project, at);

-- The number of requests in each minute: what a picture of the traffic is drawn
-- from. The rows without a pool count all requests.
CREATE TABLE traffic (
    pool_id TEXT    NOT NULL,
    minute  INTEGER NOT NULL, -- since 1970
    served  INTEGER NOT NULL,
    denied  INTEGER NOT NULL,
    failed  INTEGER NOT NULL,
    PRIMARY KEY (pool_id, minute)
) STRICT, WITHOUT ROWID;
CREATE INDEX traffic_by_minute ON traffic (minute);
