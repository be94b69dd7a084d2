-- Index of the batch's first record among the leaves of the log's tree; the next ones follow it.
ALTER TABLE batch ADD COLUMN leaf INTEGER NOT NULL DEFAULT -1;
CREATE INDEX batch_leaf ON batch (leaf);

-- Complete subtrees of the log's tree (RFC 6962); level 0 holds the leaves. They stay when records are deleted.
CREATE TABLE subtree (
  level INTEGER NOT NULL,
  place INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;

-- Signed notes over the tree at each size that was shown.
CREATE TABLE checkpoint (
  origin TEXT NOT NULL,
  size INTEGER NOT NULL,
  at INTEGER NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (origin, size)
) STRICT, WITHOUT ROWID;
