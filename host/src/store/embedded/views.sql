-- For people with sqlite3. The host reads none of these.

CREATE VIEW v_instances AS
SELECT id, name,
       CASE status WHEN 0 THEN 'Running' WHEN 1 THEN 'Completed' WHEN 2 THEN 'ContinuedAsNew' WHEN 3 THEN 'Failed'
                   WHEN 4 THEN 'Canceled' WHEN 5 THEN 'Terminated' WHEN 6 THEN 'Pending' WHEN 7 THEN 'Suspended' END AS status,
       strftime('%Y-%m-%dT%H:%M:%fZ', created / 1e6, 'unixepoch') AS created,
       strftime('%Y-%m-%dT%H:%M:%fZ', updated / 1e6, 'unixepoch') AS updated,
       strftime('%Y-%m-%dT%H:%M:%fZ', due / 1e6, 'unixepoch') AS due,
       strftime('%Y-%m-%dT%H:%M:%fZ', ended / 1e6, 'unixepoch') AS ended,
       version, waiting, parked, custom_status, module, execution, key
FROM instance;

-- One line a step, in order. A message is {"Kind": {...}}.
CREATE VIEW v_history AS
SELECT i.id,
       row_number() OVER (PARTITION BY h.key ORDER BY h.row, s.key) AS step,
       s.value ->> '$.seq' AS seq,
       strftime('%Y-%m-%dT%H:%M:%fZ', (s.value ->> '$.at') / 1e6, 'unixepoch') AS at,
       CASE json_type(s.value, '$.message')
           WHEN 'object' THEN (SELECT m.key FROM json_each(s.value, '$.message') AS m LIMIT 1)
           ELSE s.value ->> '$.message' END AS message,
       s.value -> '$.decisions' AS decisions,
       s.value AS body,
       h.key
FROM history AS h JOIN instance AS i ON i.key = h.key, json_each(h.body) AS s
ORDER BY h.key, step;

CREATE VIEW v_inbox AS
SELECT i.id, m.seq,
       strftime('%Y-%m-%dT%H:%M:%fZ', m.at / 1e6, 'unixepoch') AS at,
       m.body, m.key
FROM inbox AS m JOIN instance AS i ON i.key = m.key
ORDER BY m.seq;

-- What is on its way from one instance to another.
CREATE VIEW v_outbox AS
SELECT sender_id AS id, seq, target, body, sender AS key
FROM outbox
ORDER BY seq;

-- Requests that take effect once, as long as they are remembered.
CREATE VIEW v_requests AS
SELECT id, key, lower(hex(request)) AS request, seq,
       strftime('%Y-%m-%dT%H:%M:%fZ', until / 1e6, 'unixepoch') AS until
FROM request;
