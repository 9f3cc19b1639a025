#!/usr/bin/env bash
# Usage: make-certificates.sh FOLDER
# Makes an authority and a certificate of it for localhost and 127.0.0.1 that hold for a week: ca.pem, server.pem, server.key. What is there
# and good for another day stays. The authority's key is not kept.
set -euo pipefail

folder=$1
if openssl x509 -checkend 86400 -noout -in "$folder/server.pem" >/dev/null 2>&1; then exit 0; fi

rm -rf "$folder"
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
elliptic=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
quietly() { "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }; }

quietly openssl req -x509 "${elliptic[@]}" -keyout ca.key -out ca.pem -days 7 -subj "/CN=Keystead interop tests" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
quietly openssl req "${elliptic[@]}" -keyout server.key -out server.csr -subj /CN=localhost
quietly openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 7 -extfile <(
    printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'subjectAltName=DNS:localhost,IP:127.0.0.1' 'extendedKeyUsage=serverAuth'
)
rm -f ca.key ca.srl server.csr openssl.log
