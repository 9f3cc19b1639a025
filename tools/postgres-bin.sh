#!/usr/bin/env bash
# Prints the folder of PostgreSQL's server programs; without any it says what to install and fails.
set -euo pipefail

candidates() {
    local initdb
    if initdb=$(command -v initdb); then dirname "$(readlink -f "$initdb")"; fi
    if command -v pg_config >/dev/null; then pg_config --bindir; fi
    # Debian, Homebrew on Apple silicon and on Intel, Fedora; the newest version first.
    find /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /usr/pgsql-*/bin \
        -maxdepth 0 2>/dev/null | sort -rV || true
}

while IFS= read -r folder; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
        printf '%s\n' "$folder"
        exit 0
    fi
done < <(candidates)

cat >&2 <<'TEXT'
PostgreSQL's server programs (initdb, postgres) are not on this machine.
Install them: apt-get install postgresql, or brew install postgresql@17. `make dev` and `make test` do that by themselves.
TEXT
exit 1
