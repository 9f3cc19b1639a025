#!/usr/bin/env bash
# Usage: tools/sqlx-prepare.sh [--check]
# Writes .sqlx, the description of every query that ordinary builds check against, from a new database with all migrations.
# With --check it only compares and fails when .sqlx is not what it would write.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "${1:-}" in
    '') check=false ;;
    --check) check=true ;;
    *) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac

work=$(mktemp -d)
mkdir "$work/sqlx"
touch -r src/lib.rs "$work/mtime"
# With its old time back, src/lib.rs costs the next ordinary build nothing.
trap 'touch -r "$work/mtime" src/lib.rs; rm -rf "$work"' EXIT

# Cargo does not know that the queries depend on these variables; a new time makes it compile them again. The macros of sqlx write
# one file a query into SQLX_OFFLINE_DIR when they describe it in a live database.
touch src/lib.rs
tools/with-postgres.sh env SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/sqlx" cargo check --locked --quiet --all-targets

if $check; then
    mkdir -p "$work/none"
    committed=.sqlx
    if [ ! -d .sqlx ]; then committed=$work/none; fi
    if ! diff --recursive --brief "$committed" "$work/sqlx"; then
        echo "$0: .sqlx does not describe the queries of src/: run 'make sqlx-prepare' and commit .sqlx" >&2
        exit 1
    fi
else
    rm -rf .sqlx
    mkdir .sqlx
    find "$work/sqlx" -name 'query-*.json' -exec cp {} .sqlx/ \;
    echo "$(find .sqlx -name 'query-*.json' | wc -l) queries are described in .sqlx"
fi
