-- The tables of docs/guides/clickhouse.md, which explains them.

CREATE DATABASE tracklog;

CREATE TABLE tracklog.events
(
    id String,
    received_at Int64,
    occurred_at Int64,
    portal_id UInt64,
    prop_id UInt64,
    source LowCardinality(String),
    ip Nullable(String),
    user_agent Nullable(String),
    referer Nullable(String),
    s2s Bool,
    event_id Nullable(String),
    dialect LowCardinality(Nullable(String)),
    au_id String,
    client_id String,
    session String,
    warnings Array(String),
    event String,
    log_id LowCardinality(String) MATERIALIZED substringIndex(id, '-', 1),
    sequence UInt64 MATERIALIZED toUInt64(substringIndex(id, '-', -1)),
    PROJECTION latest (SELECT log_id, max(sequence) GROUP BY log_id)
)
ENGINE = MergeTree
ORDER BY (log_id, sequence)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE tracklog.events_flat
(
    received_at DateTime64(3, 'UTC'),
    occurred_at DateTime64(3, 'UTC'),
    portal_id UInt64,
    prop_id UInt64,
    source LowCardinality(String),
    event_id String,
    dialect LowCardinality(String),
    ea LowCardinality(String),
    ec LowCardinality(String),
    sid UInt64,
    aid String,
    uid String,
    au_id UInt64,
    session_id Nullable(UInt64),
    et String,
    sent_at String,
    items UInt64,
    context String,
    extra String,
    dims String,
    log_id LowCardinality(String),
    sequence UInt64,
    PROJECTION latest (SELECT log_id, max(sequence) GROUP BY log_id)
)
ENGINE = MergeTree
ORDER BY (portal_id, prop_id, received_at)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW tracklog.events_flattened TO tracklog.events_flat AS
SELECT
    fromUnixTimestamp64Milli(received_at, 'UTC') AS received_at,
    fromUnixTimestamp64Milli(occurred_at, 'UTC') AS occurred_at,
    portal_id,
    prop_id,
    source,
    ifNull(event_id, '') AS event_id,
    ifNull(dialect, '') AS dialect,
    JSONExtractString(event, 'ea') AS ea,
    JSONExtractString(event, 'ec') AS ec,
    toUInt64OrZero(JSONExtract(event, 'sid', 'String')) AS sid,
    JSONExtract(event, 'aid', 'String') AS aid,
    JSONExtract(event, 'uid', 'String') AS uid,
    toUInt64OrZero(au_id) AS au_id,
    toUInt64OrNull(JSONExtractString(session, 'id')) AS session_id,
    JSONExtract(event, 'et', 'String') AS et,
    JSONExtract(event, 'sent_at', 'String') AS sent_at,
    JSONLength(event, 'items') AS items,
    JSONExtractRaw(event, 'context') AS context,
    JSONExtractRaw(event, 'extra') AS extra,
    JSONExtractRaw(event, 'dims') AS dims,
    log_id,
    sequence
FROM tracklog.events;
