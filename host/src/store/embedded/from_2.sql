-- From format 2 to format 3.

ALTER TABLE instance ADD COLUMN waiting TEXT;
-- What has ended, or has not begun, waits for nothing. Of the others it is not known until they run again.
UPDATE instance SET waiting = '[]' WHERE status IN (1, 3, 4, 5, 6);

CREATE TABLE request (
    id      TEXT NOT NULL,
    key     TEXT NOT NULL,
    request BLOB NOT NULL,
    seq     INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_until ON request (until);
INSERT INTO meta (key, value) VALUES ('requests', 0);

DROP VIEW IF EXISTS v_instances;
DROP VIEW IF EXISTS v_history;
DROP VIEW IF EXISTS v_inbox;
DROP VIEW IF EXISTS v_outbox;
