CREATE TABLE meta (
  key text PRIMARY KEY,
  value text NOT NULL
);
-- The right edge of the log's tree. Its row is locked by each transaction that appends records: one order for all.
INSERT INTO meta (key, value) VALUES ('log', '{"size":0,"hashes":[]}');

-- Times are milliseconds since 1970 of the collector's clock.
CREATE TABLE node (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  cluster text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  key_id text NOT NULL,
  -- The chain that the node continues; NULL before its first batch.
  chain text,
  enrolled bigint NOT NULL,
  -- The signed request by which it enrolled last.
  enrolment text NOT NULL,
  heard bigint NOT NULL,
  -- The newest heartbeat: signed envelope and payload.
  envelope text,
  heartbeat text,
  -- The last record of kind "baseline": its JSON body.
  baseline text,
  UNIQUE (cluster, name)
) WITH (fillfactor = 50);

CREATE TABLE node_key (
  node bigint NOT NULL REFERENCES node (id),
  key_id text NOT NULL,
  public_key bytea NOT NULL,
  since bigint NOT NULL,
  -- When the node enrolled with another key, by a token instead of by this key.
  retired bigint,
  PRIMARY KEY (node, key_id)
);

-- Branch 0 is the chain as it was received first; the others are records that conflict with it.
CREATE TABLE chain (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node bigint REFERENCES node (id),
  name text NOT NULL,
  branch integer NOT NULL,
  first bigint NOT NULL,
  seq bigint NOT NULL,
  hash text NOT NULL,
  -- The key that signs the next batch.
  key_id text NOT NULL,
  begun bigint NOT NULL,
  UNIQUE (name, branch)
) WITH (fillfactor = 50);

-- Batches, records and alerts lie in partitions of one day each, by the time at which they were received.
CREATE TABLE batch (
  chain bigint NOT NULL,
  first bigint NOT NULL,
  last bigint NOT NULL,
  -- Index of its first record among the leaves of the log's tree; the next ones follow it.
  leaf bigint NOT NULL,
  received bigint NOT NULL,
  envelope text NOT NULL,
  PRIMARY KEY (leaf, received)
) PARTITION BY RANGE (received);
CREATE INDEX batch_chain ON batch (chain, last);

CREATE TABLE record (
  -- Its leaf in the log's tree, and one.
  id bigint NOT NULL,
  chain bigint NOT NULL,
  seq bigint NOT NULL,
  received bigint NOT NULL,
  hash bytea NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (id, received)
) PARTITION BY RANGE (received);
CREATE INDEX record_seq ON record (chain, seq);

-- What a person looks at: one row for each record that is an alert, an event of an agent or an alarm.
CREATE TABLE alert (
  record bigint NOT NULL,
  uid text NOT NULL,
  node bigint,
  type text NOT NULL,
  severity smallint NOT NULL,
  change text,
  path text COLLATE "C",
  rule text,
  incident text,
  pod text,
  at bigint NOT NULL,
  received bigint NOT NULL,
  acknowledged smallint NOT NULL DEFAULT 0,
  PRIMARY KEY (record, received)
) PARTITION BY RANGE (received);
CREATE INDEX alert_node ON alert (node, record);
CREATE INDEX alert_severity ON alert (severity, record);
CREATE INDEX alert_open ON alert (acknowledged, severity, record);
-- A row of an index holds at most 2,704 bytes, a path of ours up to 8,192 characters.
CREATE INDEX alert_path ON alert (left(path, 512), record);
CREATE INDEX alert_incident ON alert (left(incident, 128), record);

-- Finds the day of an alert. It is one table, so that an id is one alert's on all days.
CREATE TABLE alert_uid (
  uid text PRIMARY KEY,
  record bigint NOT NULL,
  received bigint NOT NULL
);
CREATE INDEX alert_uid_record ON alert_uid (record);

CREATE TABLE comment (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  record bigint NOT NULL,
  at bigint NOT NULL,
  login text NOT NULL,
  acknowledges boolean NOT NULL,
  text text NOT NULL
);
CREATE INDEX comment_record ON comment (record, id);

-- Alarms that last: raised once, until they are over.
CREATE TABLE alarm (
  node bigint NOT NULL REFERENCES node (id),
  what text NOT NULL,
  since bigint NOT NULL,
  PRIMARY KEY (node, what)
);

CREATE TABLE token (
  hash text PRIMARY KEY,
  node text NOT NULL,
  expires bigint NOT NULL,
  used bigint
);

CREATE TABLE login (
  name text PRIMARY KEY,
  password text,
  created bigint NOT NULL
);

-- Bearer tokens of the API and sessions of the page, by the SHA-256 of their secret.
CREATE TABLE session (
  hash text PRIMARY KEY,
  login text NOT NULL REFERENCES login (name),
  kind text NOT NULL,
  created bigint NOT NULL,
  expires bigint
);

-- Complete subtrees of the log's tree (RFC 6962); level 0 holds the leaves. They stay when records are deleted.
CREATE TABLE subtree (
  level smallint NOT NULL,
  place bigint NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (level, place)
);

-- Signed notes over the tree at each size that was shown.
CREATE TABLE checkpoint (
  origin text NOT NULL,
  size bigint NOT NULL,
  at bigint NOT NULL,
  note text NOT NULL,
  PRIMARY KEY (origin, size)
);
