-- The program that made the change. Alerts from before have none here; their records do.
ALTER TABLE alert ADD COLUMN program TEXT;
CREATE INDEX alert_program ON alert (program, severity, record) WHERE program IS NOT NULL;
-- "alert_open" holds the same in two ranges.
DROP INDEX alert_severity;
