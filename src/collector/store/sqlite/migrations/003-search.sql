-- Each index ends with severity and record, so that the alerts of one severity are a range in order of arrival.
DROP INDEX alert_node;
DROP INDEX alert_path;
DROP INDEX alert_incident;
CREATE INDEX alert_node ON alert (node, severity, record);
CREATE INDEX alert_path ON alert (path, severity, record) WHERE path IS NOT NULL;
CREATE INDEX alert_incident ON alert (incident, severity, record) WHERE incident IS NOT NULL;
CREATE INDEX alert_pod ON alert (pod, severity, record) WHERE pod IS NOT NULL;
CREATE INDEX alert_rule ON alert (rule, severity, record) WHERE rule IS NOT NULL;
CREATE INDEX alert_change ON alert (change, severity, record) WHERE change IS NOT NULL;
CREATE INDEX alert_at ON alert (at, severity, acknowledged);
