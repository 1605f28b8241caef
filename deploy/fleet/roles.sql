-- The database's users, with psql 14 or newer, after schema.sql and as its owner. Run it again to change a password:
--   INSTORE_CONSUMER_PASSWORD=... INSTORE_GRAFANA_PASSWORD=... psql -v ON_ERROR_STOP=1 -d instore -f roles.sql
-- consumer: to_postgres.py. grafana: only reads, as everybody who may edit a board writes SQL as this user.
\getenv consumer_password INSTORE_CONSUMER_PASSWORD
\getenv grafana_password INSTORE_GRAFANA_PASSWORD
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['consumer', 'grafana']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE consumer LOGIN PASSWORD :'consumer_password';
ALTER ROLE grafana LOGIN PASSWORD :'grafana_password';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';

GRANT USAGE ON SCHEMA instore TO consumer, grafana;
GRANT SELECT ON ALL TABLES IN SCHEMA instore TO consumer, grafana;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA instore TO consumer;
-- for what a later schema.sql adds
ALTER DEFAULT PRIVILEGES IN SCHEMA instore GRANT SELECT ON TABLES TO consumer, grafana;
ALTER DEFAULT PRIVILEGES IN SCHEMA instore GRANT INSERT, UPDATE, DELETE ON TABLES TO consumer;
