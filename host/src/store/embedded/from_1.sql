-- From format 1 to format 2.

ALTER TABLE instance ADD COLUMN due INTEGER;
ALTER TABLE instance ADD COLUMN ended INTEGER;
UPDATE instance SET ended = updated WHERE status IN (1, 3, 4, 5);
CREATE INDEX instance_due ON instance (due, key) WHERE due IS NOT NULL AND parked IS NULL;
CREATE INDEX instance_ended ON instance (ended, key) WHERE ended IS NOT NULL;

CREATE TABLE outbox (
    seq       INTEGER PRIMARY KEY,
    sender    INTEGER NOT NULL,
    sender_id TEXT NOT NULL,
    target    TEXT NOT NULL,
    body      TEXT NOT NULL
) STRICT;

ALTER TABLE activity ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE activity ADD COLUMN timeout INTEGER;

DROP VIEW v_instances;
DROP VIEW v_history;
DROP VIEW v_inbox;
