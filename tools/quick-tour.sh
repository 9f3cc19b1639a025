#!/usr/bin/env bash
# The quick tour of README.md against a running `make dev`: prints each command and its answer, and
# ends with 1 at the first surprise. A test checks that README.md shows no command that is not here.
#
# ISSUER  the public listener, http://127.0.0.1:8080 if not set
# ADMIN   the admin listener, http://127.0.0.1:8081 if not set
# Needs curl and python3. The secrets are the ones that `keystead dev` seeds; they open nothing else.
set -euo pipefail

commands=''
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# Shows and runs the commands on standard input, in this shell so that what they set stays.
run() {
    commands=$(cat)
    printf '\n'
    sed 's/^/  /' <<<"$commands"
    eval "$commands" >"$answer" || surprise "a command failed"
    sed 's/^/=> /' "$answer" | cut -c 1-300
}

# The last answer has to match this extended regular expression.
expect() {
    grep -Eq -- "$1" "$answer" || surprise "expected an answer that matches $1"
}

# These variables have to hold something. Only their lengths are shown: tokens are no reading matter.
kept() {
    local name value
    for name in "$@"; do
        value=${!name:-}
        [ -n "$value" ] || surprise "\$$name is empty"
        printf '=> %s holds %d characters\n' "$name" "${#value}"
    done
}

surprise() {
    {
        printf '\nquick tour: %s\ncommands:\n%s\n' "$1" "$commands"
        printf 'answer:\n%s\n' "$(cat "$answer")"
    } >&2
    exit 1
}

run <<'COMMANDS'
ISSUER=${ISSUER:-http://127.0.0.1:8080} ADMIN=${ADMIN:-http://127.0.0.1:8081}
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
COMMANDS

echo; echo '# What is here: clients need this one address'
run <<'COMMANDS'
curl -fsS $ISSUER/.well-known/openid-configuration | field issuer
COMMANDS
expect "^$ISSUER\$"

echo; echo '# A service gets a token for the API'
run <<'COMMANDS'
TOKEN=$(curl -fsS $ISSUER/oauth2/token -d grant_type=client_credentials -d scope=demo:read \
  -d client_id=demo-service -d client_secret=demo-service-secret-00000000000000000000 | field access_token)
COMMANDS
kept TOKEN

echo; echo '# The API asks what the token is worth'
run <<'COMMANDS'
curl -fsS $ISSUER/oauth2/introspect -u demo-api:demo-api-secret-000000000000000000000000 -d token=$TOKEN
COMMANDS
expect '"active": ?true'
expect '"scope": ?"demo:read"'
expect '"client_id": ?"demo-service"'

echo; echo '# The service gives it back, and the API sees that at once'
run <<'COMMANDS'
curl -fsS $ISSUER/oauth2/revoke -d token=$TOKEN -w 'HTTP %{http_code}\n' \
  -d client_id=demo-service -d client_secret=demo-service-secret-00000000000000000000
COMMANDS
expect '^HTTP 200$'
run <<'COMMANDS'
curl -fsS $ISSUER/oauth2/introspect -u demo-api:demo-api-secret-000000000000000000000000 -d token=$TOKEN
COMMANDS
expect '^[{] ?"active": ?false ?[}]$'

echo; echo '# An operator gets a token for the admin API and adds a client; its secret is shown this once'
run <<'COMMANDS'
ADMIN_TOKEN=$(curl -fsS $ISSUER/oauth2/token -d grant_type=client_credentials -d scope=keystead:admin \
  -d client_id=demo-admin -d client_secret=demo-admin-secret-0000000000000000000000 | field access_token)
COMMANDS
kept ADMIN_TOKEN
run <<'COMMANDS'
CLIENT=$(curl -fsS $ADMIN/admin/v1/clients -H "Authorization: Bearer $ADMIN_TOKEN" -H 'Content-Type: application/json' \
  -d '{"client_name": "Nightly report", "grant_types": ["client_credentials"], "scope": "demo:read"}')
CLIENT_ID=$(field client_id <<<"$CLIENT") CLIENT_SECRET=$(field client_secret <<<"$CLIENT")
COMMANDS
kept CLIENT_ID CLIENT_SECRET

echo; echo '# The new client works, and is deleted'
run <<'COMMANDS'
curl -fsS $ISSUER/oauth2/token -u $CLIENT_ID:$CLIENT_SECRET -d grant_type=client_credentials -d scope=demo:read | field token_type
COMMANDS
expect '^[Bb]earer$'
run <<'COMMANDS'
curl -fsS -X DELETE $ADMIN/admin/v1/clients/$CLIENT_ID -H "Authorization: Bearer $ADMIN_TOKEN" -w 'HTTP %{http_code}\n'
COMMANDS
expect '^HTTP 204$'

printf '\nThe quick tour went as README.md says.\n'
