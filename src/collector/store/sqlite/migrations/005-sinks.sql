-- The places of sinks are in "meta".
DROP TABLE sink;
