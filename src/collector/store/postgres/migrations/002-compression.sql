-- lz4 takes a third of the time of pglz. A server that was built without it keeps pglz.
DO $$
BEGIN
  ALTER TABLE record ALTER COLUMN bytes SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
  NULL;
END
$$;
