-- +goose Up

-- Limits of 0 are the gateway's defaults. Times of 0 are none: never used, never
-- expires. Durations are microseconds. Networks are CIDR prefixes with a space
-- between them.

ALTER TABLE pools ADD COLUMN paused              BOOLEAN          NOT NULL DEFAULT false;
ALTER TABLE pools ADD COLUMN max_parallelism     BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN networks            TEXT             NOT NULL DEFAULT '';
ALTER TABLE pools ADD COLUMN requests_per_second DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN burst               BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN in_flight           BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN body_bytes          BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN queue_length        BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN queue_wait          BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN updated_at          BIGINT           NOT NULL DEFAULT 0;
UPDATE pools SET updated_at = created_at;

ALTER TABLE keys ADD COLUMN requests_per_second DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN burst               BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN in_flight           BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN body_bytes          BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN queue_length        BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN queue_wait          BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN last_used_at        BIGINT           NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN expires_at          BIGINT           NOT NULL DEFAULT 0;

-- Keys get an ID of their own, by which they are revoked. Those that are there
-- get one that looks like a ULID.
ALTER TABLE pool_token_keys RENAME TO token_keys;
ALTER TABLE token_keys DROP CONSTRAINT pool_token_keys_pkey;
ALTER TABLE token_keys ADD UNIQUE (pool_id, key_hash);
ALTER TABLE token_keys ADD COLUMN id TEXT NOT NULL DEFAULT '0' || upper(left(replace(gen_random_uuid()::text, '-', ''), 25));
ALTER TABLE token_keys ALTER COLUMN id DROP DEFAULT;
ALTER TABLE token_keys ADD PRIMARY KEY (id);
ALTER TABLE token_keys ADD COLUMN last_used_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE token_keys ADD COLUMN expires_at   BIGINT NOT NULL DEFAULT 0;

-- What agents have joined a pool before.
CREATE TABLE instances (
    pool_id    TEXT    NOT NULL REFERENCES pools (id) ON DELETE CASCADE,
    instance   TEXT    NOT NULL,
    first_seen BIGINT  NOT NULL,
    last_seen  BIGINT  NOT NULL,
    PRIMARY KEY (pool_id, instance)
);
CREATE INDEX instances_by_last_seen ON instances (pool_id, last_seen);

-- Entries outlive the keys and pools that they name.
CREATE TABLE audit (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never given out twice: it's the cursor
    at          BIGINT  NOT NULL,
    key_id      TEXT    NOT NULL, -- the actor
    key_name    TEXT    NOT NULL,
    remote      TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    target_kind TEXT    NOT NULL,
    target_id   TEXT    NOT NULL,
    target_name TEXT    NOT NULL,
    detail      TEXT    NOT NULL  -- JSON: an object of strings
);
CREATE INDEX audit_by_action ON audit (action);
CREATE INDEX audit_by_target_id ON audit (target_id);
CREATE INDEX audit_by_target_name ON audit (target_name);

-- As entries of the audit log, requests outlive what they name.
CREATE TABLE requests (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never given out twice: it's the cursor
    id         TEXT    NOT NULL, -- the caller's X-Request-Id, or ours: not unique
    at         BIGINT  NOT NULL,
    pool_id    TEXT    NOT NULL,
    pool_name  TEXT    NOT NULL,
    key_id     TEXT    NOT NULL,
    key_name   TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    instance   TEXT    NOT NULL,
    stream     BIGINT  NOT NULL,
    method     TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    status     BIGINT  NOT NULL,
    queued     BIGINT  NOT NULL,
    first_byte BIGINT  NOT NULL,
    total      BIGINT  NOT NULL,
    bytes_in   BIGINT  NOT NULL,
    bytes_out  BIGINT  NOT NULL
);

-- Pages are read newest first, by (at, seq), from the index that has the filter's
-- columns in front: however many or few rows match, no other row is looked at.
-- The planner takes values to be spread evenly and by themselves: it would walk
-- back through (at) or (outcome, at) for a pool's denials, although a busy pool
-- may have none. So each kind of index sorts by another expression, and only a
-- query of its kind can be sorted by it: (at - 0) without another filter, at with
-- a pool, and (at + 0) with another filter alone, or an ID.
CREATE INDEX requests_by_at           ON requests ((at - 0), seq) INCLUDE (at);
CREATE INDEX requests_by_id           ON requests (id, (at + 0), seq);
CREATE INDEX requests_by_key          ON requests (key_id, (at + 0), seq);
CREATE INDEX requests_by_outcome      ON requests (outcome, (at + 0), seq);
CREATE INDEX requests_by_name         ON requests (name, (at + 0), seq);
CREATE INDEX requests_by_project      ON requests (project, (at + 0), seq);
CREATE INDEX requests_by_pool         ON requests (pool_id, at, seq);
CREATE INDEX requests_by_pool_key     ON requests (pool_id, key_id, at, seq);
CREATE INDEX requests_by_pool_outcome ON requests (pool_id, outcome, at, seq);
CREATE INDEX requests_by_pool_name    ON requests (pool_id, name, at, seq);
CREATE INDEX requests_by_pool_project ON requests (pool_id, project, at, seq);

-- The number of requests in each minute: what a picture of the traffic is drawn
-- from. The rows without a pool count all requests.
CREATE TABLE traffic (
    pool_id TEXT    NOT NULL,
    minute  BIGINT  NOT NULL, -- since 1970
    served  BIGINT  NOT NULL,
    denied  BIGINT  NOT NULL,
    failed  BIGINT  NOT NULL,
    PRIMARY KEY (pool_id, minute)
);
CREATE INDEX traffic_by_minute ON traffic (minute);
