#!/usr/bin/env bash
# Usage: tools/with-postgres.sh COMMAND...
# Runs COMMAND with DATABASE_URL naming a new, migrated, empty database, and removes all of it afterwards. The server is private:
# it listens on a socket in a temporary folder only and never waits for the disk.
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: $0 COMMAND..." >&2
    exit 2
fi
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$("$repository/tools/postgres-bin.sh")
# Not $TMPDIR: the path of a socket may have about a hundred characters.
folder=$(mktemp -d /tmp/keystead-postgres.XXXXXX)

# PostgreSQL refuses to run as root.
as_owner=()
if [ "$(id -u)" -eq 0 ]; then
    owner=nobody
    if id postgres >/dev/null 2>&1; then owner=postgres; fi
    chown "$owner" "$folder"
    as_owner=(runuser -u "$owner" --)
fi

# From the folder itself, because the owner may not be allowed to enter the working directory.
server() { (cd "$folder" && "${as_owner[@]+"${as_owner[@]}"}" "$bin/$1" "${@:2}" </dev/null); }

stop() {
    if [ -e "$folder/data/postmaster.pid" ]; then
        server pg_ctl --pgdata=data --mode=immediate --silent stop || true
    fi
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

fail() {
    echo "$0: $1" >&2
    exit 1
}

server initdb --pgdata=data --username=keystead --auth=trust --encoding=UTF8 --no-locale --no-sync \
    >"$folder/log" 2>&1 || { cat "$folder/log" >&2; fail "initdb failed"; }
server pg_ctl --pgdata=data --log=server.log --wait --silent start \
    --options="-c listen_addresses='' -c unix_socket_directories='$folder' -c fsync=off -c full_page_writes=off" \
    || { cat "$folder/server.log" >&2; fail "PostgreSQL did not start"; }

psql=$bin/psql
if [ ! -x "$psql" ]; then psql=$(command -v psql) || fail "psql is missing: install PostgreSQL's client programs"; fi
sql() { "$psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host="$folder" --username=keystead "$@"; }

sql --dbname=postgres --command='CREATE DATABASE keystead'
for migration in "$repository"/migrations/*.sql; do
    [ -e "$migration" ] || continue
    transaction=--single-transaction
    # The same first line tells sqlx.
    if [ "$(head -n 1 "$migration")" = "-- no-transaction" ]; then transaction=; fi
    PGOPTIONS='-c client_min_messages=warning' sql --dbname=keystead ${transaction:+"$transaction"} --file="$migration" \
        || fail "migrations/$(basename "$migration") failed"
done

# In the background and waited for, because only then can a signal end the command as well.
DATABASE_URL="postgres://keystead@localhost/keystead?host=$folder" "$@" <&0 &
command=$!
trap 'kill -TERM "$command" 2>/dev/null; wait "$command" || true; exit 143' TERM
trap 'kill -TERM "$command" 2>/dev/null; wait "$command" || true; exit 130' INT
status=0
wait "$command" || status=$?
exit "$status"
