-- Paths and rows are the exact bytes that are signed, hence BLOB. The large column of `record` comes last,
-- so that SQLite reads the head columns without the overflow pages. Never edited after a release.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE baseline (path BLOB PRIMARY KEY, row BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE statement (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  counter INTEGER NOT NULL,
  envelope TEXT NOT NULL,
  policy TEXT NOT NULL
) STRICT;

CREATE TABLE current (
  path BLOB PRIMARY KEY,
  row BLOB NOT NULL,
  dev TEXT NOT NULL,
  ino TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX current_inode ON current (ino, dev);

CREATE TABLE record (
  seq INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  severity INTEGER NOT NULL,
  size INTEGER NOT NULL,
  total INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX record_baseline ON record (seq) WHERE kind = 'baseline';

CREATE TABLE batch (
  last INTEGER PRIMARY KEY,
  first INTEGER NOT NULL,
  envelope TEXT NOT NULL
) STRICT;

CREATE TABLE sink (
  name TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled', 'absent')),
  reason TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE fold (
  rule TEXT NOT NULL,
  change TEXT NOT NULL,
  severity TEXT NOT NULL,
  count INTEGER NOT NULL,
  since REAL NOT NULL,
  at REAL NOT NULL,
  examples TEXT NOT NULL,
  sample TEXT NOT NULL,
  PRIMARY KEY (rule, change, severity)
) STRICT, WITHOUT ROWID;
