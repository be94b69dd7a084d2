-- The program that made the change. Alerts from before have none here; their records do.
ALTER TABLE alert ADD COLUMN program text;
CREATE INDEX alert_program ON alert (left(program, 512), record) WHERE program IS NOT NULL;
