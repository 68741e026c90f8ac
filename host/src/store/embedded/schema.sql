-- History, inbox and outbox only grow at their right edge; the one page a turn touches at random is its instance's.
-- Columns that change each turn are in no index. Those that are in one are only set where they change.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE partition (
    p     INTEGER PRIMARY KEY,
    owner TEXT,
    epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE instance (
    key           INTEGER PRIMARY KEY,
    partition     INTEGER NOT NULL,
    id            TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    module        TEXT NOT NULL,
    execution     TEXT NOT NULL,
    status        INTEGER NOT NULL,
    created       INTEGER NOT NULL,          -- microseconds since 1970, as every instant here
    updated       INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    first_row     INTEGER,                   -- the two ends of its chain in history
    last_row      INTEGER,
    rows          INTEGER NOT NULL,          -- the length of that chain
    parked        TEXT,
    custom_status TEXT,
    due           INTEGER,                   -- when it must run next though nothing arrives
    ended         INTEGER,
    waiting       TEXT                       -- a JSON array of the folded names of awaited events; NULL: not known
) STRICT;
CREATE INDEX instance_status ON instance (status, key);
CREATE INDEX instance_name ON instance (name, key);
CREATE INDEX instance_due ON instance (due, key) WHERE due IS NOT NULL AND parked IS NULL;
CREATE INDEX instance_ended ON instance (ended, key) WHERE ended IS NOT NULL;

CREATE TABLE history (
    row  INTEGER PRIMARY KEY,
    key  INTEGER NOT NULL,
    prev INTEGER,                            -- the row before it in the same instance
    body TEXT NOT NULL                       -- a JSON array of steps
) STRICT;

CREATE TABLE inbox (
    seq  INTEGER PRIMARY KEY,
    key  INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX inbox_key ON inbox (key);

CREATE TABLE outbox (
    seq       INTEGER PRIMARY KEY,
    sender    INTEGER NOT NULL,              -- an instance, which may be gone
    sender_id TEXT NOT NULL,
    target    TEXT NOT NULL,                 -- the id of the instance that is to have it
    body      TEXT NOT NULL
) STRICT;

CREATE TABLE request (
    id      TEXT NOT NULL,                   -- of the instance, which may be gone
    key     TEXT NOT NULL,
    request BLOB NOT NULL,                   -- SHA-256 of what was asked
    seq     INTEGER NOT NULL,                -- of the message that it became
    until   INTEGER NOT NULL,
    PRIMARY KEY (id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_until ON request (until);

CREATE TABLE activity (
    key     INTEGER NOT NULL,
    task    INTEGER NOT NULL,
    name    TEXT NOT NULL,
    input   TEXT NOT NULL,
    attempt INTEGER NOT NULL,                -- 1 is the first
    timeout INTEGER,                         -- microseconds
    PRIMARY KEY (key, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE module (
    digest        TEXT PRIMARY KEY,
    orchestrators TEXT NOT NULL,             -- JSON arrays of names
    activities    TEXT NOT NULL,
    deployed      INTEGER NOT NULL,
    deployment    INTEGER NOT NULL,
    bytes         BLOB NOT NULL
) STRICT;
