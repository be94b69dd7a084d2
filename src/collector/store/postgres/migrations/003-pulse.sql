-- Covers the watchdog's question once a second: when was each node heard last?
CREATE INDEX node_heard ON node (heard, id);
