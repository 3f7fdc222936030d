#!/bin/sh
# As https://hub.docker.com/_/postgres does: initialise an empty PGDATA, then run the command.
set -eu
: "${PGDATA:=/var/lib/postgresql/data}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb -D "$PGDATA" -U postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 --encoding=UTF8 \
        --locale=C --no-sync --no-instructions >/dev/null
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
fi
export PGDATA
exec "$@"
