-- From format 3 to format 4. The pages got their checksums before.

DROP VIEW IF EXISTS v_instances;
DROP VIEW IF EXISTS v_history;
DROP VIEW IF EXISTS v_inbox;
DROP VIEW IF EXISTS v_outbox;
DROP VIEW IF EXISTS v_requests;
