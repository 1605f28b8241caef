-- For TimescaleDB 2.14 or newer, after schema.sql. NOT RUN: its server cannot be had where InStore is built.
--   psql -v ON_ERROR_STOP=1 -f timescaledb.sql
-- The large tables become hypertables by time, older chunks are compressed, and whole chunks go after the retention, in
-- place of instore.forget. The views and instore.take stay as they are.
CREATE EXTENSION IF NOT EXISTS timescaledb;

SELECT create_hypertable('instore.counts', 'starts', chunk_time_interval => interval '1 day', migrate_data => true);
SELECT create_hypertable('instore.cells', 'starts', chunk_time_interval => interval '7 days', migrate_data => true);
SELECT create_hypertable('instore.flow', 'starts', chunk_time_interval => interval '1 day', migrate_data => true);
SELECT create_hypertable('instore.periods', 'starts', chunk_time_interval => interval '7 days', migrate_data => true);

ALTER TABLE instore.counts SET (timescaledb.compress, timescaledb.compress_segmentby = 'site');
ALTER TABLE instore.cells SET (timescaledb.compress, timescaledb.compress_segmentby = 'site');
ALTER TABLE instore.flow SET (timescaledb.compress, timescaledb.compress_segmentby = 'site');
SELECT add_compression_policy('instore.counts', interval '14 days');
SELECT add_compression_policy('instore.cells', interval '14 days');
SELECT add_compression_policy('instore.flow', interval '14 days');

SELECT add_retention_policy('instore.counts', interval '400 days');
SELECT add_retention_policy('instore.cells', interval '400 days');
SELECT add_retention_policy('instore.flow', interval '400 days');
SELECT add_retention_policy('instore.periods', interval '1200 days');

-- The days of each store as a continuous aggregate: what instore.store_days has, kept up to date. Hours need no
-- aggregate: instore.periods has those of days that have ended, and instore.visits spreads those of today.
CREATE MATERIALIZED VIEW instore.days_of_stores WITH (timescaledb.continuous) AS
SELECT site, day, kind, cell, time_bucket(interval '1 day', starts) AS bucket, sum(visits) AS visits
FROM instore.cells GROUP BY site, day, kind, cell, time_bucket(interval '1 day', starts) WITH NO DATA;
SELECT add_continuous_aggregate_policy('instore.days_of_stores', start_offset => interval '40 days',
    end_offset => interval '1 hour', schedule_interval => interval '30 minutes');

-- Watched seconds by window and camera, over the hours of UTC.
CREATE MATERIALIZED VIEW instore.coverage_of_hours WITH (timescaledb.continuous) AS
SELECT site, camera, zone, time_bucket(interval '1 hour', starts) AS bucket, sum(covered_seconds) AS covered_seconds
FROM instore.counts GROUP BY site, camera, zone, time_bucket(interval '1 hour', starts) WITH NO DATA;
SELECT add_continuous_aggregate_policy('instore.coverage_of_hours', start_offset => interval '40 days',
    end_offset => interval '1 hour', schedule_interval => interval '30 minutes');
