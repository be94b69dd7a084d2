-- A record's number is its leaf in the log's tree, and one. Some neighbouring records of a batch share a row. Before,
-- each had a row and a number of its own, and its hash was stored twice.
CREATE TABLE whole_batch (
  -- Index of the batch's first record among the leaves of the log's tree; the next ones follow it.
  leaf INTEGER PRIMARY KEY,
  chain INTEGER NOT NULL REFERENCES chain (id),
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  received INTEGER NOT NULL,
  envelope TEXT NOT NULL
) STRICT;
INSERT INTO whole_batch
SELECT batch.leaf, batch.chain, batch.first, batch.last, record.received, batch.envelope
FROM batch JOIN record ON record.chain = batch.chain AND record.seq = batch.first;

CREATE TABLE leaf_alert (
  record INTEGER PRIMARY KEY,
  uid TEXT NOT NULL,
  node INTEGER REFERENCES node (id),
  type TEXT NOT NULL,
  severity INTEGER NOT NULL,
  change TEXT,
  path TEXT,
  rule TEXT,
  incident TEXT,
  pod TEXT,
  at INTEGER NOT NULL,
  received INTEGER NOT NULL,
  acknowledged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TEMP TABLE number AS
SELECT record.id AS old, batch.leaf + record.seq - batch.first + 1 AS record
FROM record JOIN batch ON batch.chain = record.chain AND record.seq BETWEEN batch.first AND batch.last;
CREATE UNIQUE INDEX temp.number_old ON number (old);
CREATE TABLE some_records (
  -- Of the first of them.
  id INTEGER PRIMARY KEY,
  -- The exact bytes of each, joined by line feeds and compressed (zstd); a record from before stands alone, as it is.
  bytes BLOB NOT NULL
) STRICT;
INSERT INTO some_records
SELECT number.record, record.bytes FROM record JOIN number ON number.old = record.id ORDER BY 1;
INSERT INTO leaf_alert
SELECT number.record, uid, node, type, severity, change, path, rule, incident, pod, at, received, acknowledged
FROM alert JOIN number ON number.old = alert.record;

CREATE TABLE leaf_comment (
  id INTEGER PRIMARY KEY,
  record INTEGER NOT NULL REFERENCES leaf_alert (record),
  at INTEGER NOT NULL,
  user TEXT NOT NULL,
  acknowledges INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;
INSERT INTO leaf_comment
SELECT id, number.record, at, user, acknowledges, text FROM comment JOIN number ON number.old = comment.record;

DROP TABLE comment;
DROP TABLE alert;
DROP TABLE record;
DROP TABLE batch;
DROP TABLE temp.number;
ALTER TABLE whole_batch RENAME TO batch;
ALTER TABLE some_records RENAME TO record;
ALTER TABLE leaf_alert RENAME TO alert;
ALTER TABLE leaf_comment RENAME TO comment;
CREATE UNIQUE INDEX batch_chain ON batch (chain, last);
CREATE INDEX comment_record ON comment (record, id);
CREATE UNIQUE INDEX alert_uid ON alert (uid);
CREATE INDEX alert_node ON alert (node, severity, record);
CREATE INDEX alert_severity ON alert (severity, record);
CREATE INDEX alert_open ON alert (acknowledged, severity, record);
CREATE INDEX alert_path ON alert (path, severity, record) WHERE path IS NOT NULL;
CREATE INDEX alert_incident ON alert (incident, severity, record) WHERE incident IS NOT NULL;
CREATE INDEX alert_pod ON alert (pod, severity, record) WHERE pod IS NOT NULL;
CREATE INDEX alert_rule ON alert (rule, severity, record) WHERE rule IS NOT NULL;
CREATE INDEX alert_change ON alert (change, severity, record) WHERE change IS NOT NULL;
CREATE INDEX alert_at ON alert (at, severity, acknowledged);
