CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Times are milliseconds since 1970 of the collector's clock.
CREATE TABLE node (
  id INTEGER PRIMARY KEY,
  cluster TEXT NOT NULL,
  name TEXT NOT NULL,
  key_id TEXT NOT NULL,
  -- The chain that the node continues; NULL before its first batch.
  chain TEXT,
  enrolled INTEGER NOT NULL,
  -- The signed request by which it enrolled last.
  enrolment TEXT NOT NULL,
  heard INTEGER NOT NULL,
  -- The newest heartbeat: signed envelope and payload.
  envelope TEXT,
  heartbeat TEXT,
  -- The last record of kind "baseline": its JSON body.
  baseline TEXT,
  UNIQUE (cluster, name)
) STRICT;

CREATE TABLE node_key (
  node INTEGER NOT NULL REFERENCES node (id),
  key_id TEXT NOT NULL,
  public_key BLOB NOT NULL,
  since INTEGER NOT NULL,
  -- When the node enrolled with another key, by a token instead of by this key.
  retired INTEGER,
  PRIMARY KEY (node, key_id)
) STRICT, WITHOUT ROWID;

-- Branch 0 is the chain as it was received first; the others are records that conflict with it.
CREATE TABLE chain (
  id INTEGER PRIMARY KEY,
  node INTEGER REFERENCES node (id),
  name TEXT NOT NULL,
  branch INTEGER NOT NULL,
  first INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  -- The key that signs the next batch.
  key_id TEXT NOT NULL,
  begun INTEGER NOT NULL,
  UNIQUE (name, branch)
) STRICT;

CREATE TABLE batch (
  chain INTEGER NOT NULL REFERENCES chain (id),
  last INTEGER NOT NULL,
  first INTEGER NOT NULL,
  envelope TEXT NOT NULL,
  PRIMARY KEY (chain, last)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
  id INTEGER PRIMARY KEY,
  chain INTEGER NOT NULL REFERENCES chain (id),
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  received INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_seq ON record (chain, seq);

-- What a person looks at: one row for each record that is an alert, an event of an agent or an alarm.
CREATE TABLE alert (
  record INTEGER PRIMARY KEY REFERENCES record (id),
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
CREATE UNIQUE INDEX alert_uid ON alert (uid);
CREATE INDEX alert_node ON alert (node, record);
CREATE INDEX alert_severity ON alert (severity, record);
CREATE INDEX alert_open ON alert (acknowledged, severity, record);
CREATE INDEX alert_path ON alert (path, record);
CREATE INDEX alert_incident ON alert (incident, record);

CREATE TABLE comment (
  id INTEGER PRIMARY KEY,
  record INTEGER NOT NULL REFERENCES alert (record),
  at INTEGER NOT NULL,
  user TEXT NOT NULL,
  acknowledges INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX comment_record ON comment (record, id);

-- Alarms that last: raised once, until they are over.
CREATE TABLE alarm (
  node INTEGER NOT NULL REFERENCES node (id),
  what TEXT NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (node, what)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
  hash TEXT PRIMARY KEY,
  node TEXT NOT NULL,
  expires INTEGER NOT NULL,
  used INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE user (
  name TEXT PRIMARY KEY,
  password TEXT,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Bearer tokens of the API and sessions of the page, by the SHA-256 of their secret.
CREATE TABLE session (
  hash TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES user (name),
  kind TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sink (
  name TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'active',
  reason TEXT
) STRICT, WITHOUT ROWID;
