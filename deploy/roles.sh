#!/bin/sh
# Run once by the PostgreSQL image, in an empty data folder: the roles of our processes. Each has a password of its own.
# For a server that is there already, docs/guides/database-roles.md has the same as plain SQL.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set=migrations="$POSTGRES_MIGRATIONS_PASSWORD" \
  --set=api="$POSTGRES_API_PASSWORD" \
  --set=worker="$POSTGRES_WORKER_PASSWORD" \
  --set=database="$POSTGRES_DB" <<'SQL'
CREATE ROLE referrals_migrations LOGIN PASSWORD :'migrations';
CREATE ROLE referrals_api LOGIN PASSWORD :'api';
CREATE ROLE referrals_worker LOGIN PASSWORD :'worker';
ALTER DATABASE :"database" OWNER TO referrals_migrations;
SQL
