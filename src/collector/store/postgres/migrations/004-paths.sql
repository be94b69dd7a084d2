-- Every path that an alert has, once: a pattern is compared with few texts. Rows are added under the lock on the log's
-- tree, so none comes twice. They stay when alerts are deleted: they lead to no alert.
CREATE TABLE path_name (path text COLLATE "C" NOT NULL);
CREATE INDEX path_name_begin ON path_name (left(path, 512));
INSERT INTO path_name SELECT DISTINCT path FROM alert WHERE path IS NOT NULL;
