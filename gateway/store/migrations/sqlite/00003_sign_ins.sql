-- +goose Up

-- Browsers' sessions with the pages. Their secrets appear as SHA-256 only.
CREATE TABLE sign_ins (
    secret_hash  BLOB    NOT NULL PRIMARY KEY,
    key_id       TEXT    NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_ins_by_key ON sign_ins (key_id, last_used_at);
CREATE INDEX sign_ins_by_expiry ON sign_ins (expires_at);
