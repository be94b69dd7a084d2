-- Some neighbouring records of a batch share a row: its number is that of the first of them, its bytes are those of
-- each, joined by line feeds and compressed (zstd); a record from before stands alone, as it is. The chain and the number
-- in it are the batch's, the hash is a leaf of the log's tree.
DROP INDEX record_seq;
ALTER TABLE record DROP COLUMN chain, DROP COLUMN seq, DROP COLUMN hash;
ALTER TABLE record ALTER COLUMN bytes SET STORAGE EXTERNAL;
