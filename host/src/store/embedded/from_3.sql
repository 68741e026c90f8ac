-- From format 3 to format 4. The pages got their checksums before.

CREATE TABLE commit_log (
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO commit_log (seq) VALUES (0);

DROP VIEW IF EXISTS v_instances;
DROP VIEW IF EXISTS v_history;
DROP VIEW IF EXISTS v_inbox;
DROP VIEW IF EXISTS v_outbox;
DROP VIEW IF EXISTS v_requests;
