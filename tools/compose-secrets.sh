#!/usr/bin/env bash
# Makes what compose.yaml needs and nobody else may have: a database password, the database's URL with it, and an encryption key in
# secrets/, and .env with the user that Keystead runs as, because it must own them. It never replaces anything.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -e secrets ]; then
    echo "$0: secrets/ exists already; the database and the keys in it depend on these secrets" >&2
    exit 1
fi
umask 077
mkdir secrets
password=$(head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
printf '%s' "$password" >secrets/postgres_password
# No TLS: the URL is used inside the private network of this compose file only.
printf 'postgres://keystead:%s@postgres/keystead?sslmode=disable' "$password" >secrets/database_url
head -c 32 /dev/urandom | base64 >secrets/encryption_key

user=$(id -u):$(id -g)
if [ "$(id -u)" -eq 0 ]; then
    # The image's own user, since Keystead needs no root.
    user=65532:65532
    chown -R "$user" secrets
fi
printf 'KEYSTEAD_USER=%s\n' "$user" >.env
echo "secrets/ and .env are written. Keep a copy of secrets/encryption_key: without it the signing keys are lost."
