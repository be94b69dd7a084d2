-- Approvals are read by kind: everything after the last baseline.
CREATE INDEX record_approval ON record (seq) WHERE kind = 'approval';
