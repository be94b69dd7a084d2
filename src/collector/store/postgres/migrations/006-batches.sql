-- A batch holds its records: the exact bytes of each, joined by line feeds; compressed (zstd), but for those that this
-- migration joins. A record had a row of its own before, and its hash was stored twice.
ALTER TABLE batch ADD COLUMN records bytea;
ALTER TABLE batch ALTER COLUMN records SET STORAGE EXTERNAL;
UPDATE batch SET records = coalesce((
  SELECT string_agg(record.bytes, '\x0a'::bytea ORDER BY record.id) FROM record
  WHERE record.id > batch.leaf AND record.id <= batch.leaf + batch.last - batch.first + 1
    AND record.received = batch.received), '');
ALTER TABLE batch ALTER COLUMN records SET NOT NULL;
DROP TABLE record;
