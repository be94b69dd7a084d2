-- What the page's links ask for: all of a rule, of a pod, of a kind of change, of an hour.
CREATE INDEX alert_rule ON alert (rule, record);
CREATE INDEX alert_change ON alert (change, record);
CREATE INDEX alert_pod ON alert (pod, record) WHERE pod IS NOT NULL;
-- Alerts arrive in about the order of their time, so the range of each 32 pages says enough.
CREATE INDEX alert_at ON alert USING brin (at) WITH (pages_per_range = 32);
