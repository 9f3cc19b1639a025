#!/usr/bin/env bash
# Every check that needs no test. It stops at the first that fails.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
    printf -- '-- %s\n' "$*"
    "$@"
}

# step_if PROGRAM COMMAND...: a check by a program that not every machine has.
step_if() {
    local program=$1
    shift
    if command -v "$program" >/dev/null; then
        step "$@"
    else
        echo "-- skipped, because $program is not installed: $*"
    fi
}

# Two cryptographic libraries in one process would be two to keep patched, and rustls panics when it must choose.
no_ring() {
    local ring
    ring=$(cargo tree --locked --workspace --target all --edges normal,build --prefix none --format '{p}' | grep '^ring ' || true)
    if [ -n "$ring" ]; then
        echo "$ring is in the build; 'cargo tree -i ring' shows why. Choose the aws-lc-rs feature of that crate." >&2
        return 1
    fi
}

step cargo fmt --all --check
step cargo clippy --locked --quiet --workspace --all-targets -- -D warnings
step env RUSTDOCFLAGS='-D warnings' cargo doc --locked --quiet --workspace --no-deps --document-private-items
step tools/sqlx-prepare.sh --check
step no_ring
step_if cargo-deny cargo deny --locked --log-level warn check bans licenses sources
step_if cargo-machete cargo machete
step_if shellcheck shellcheck --severity=warning tools/*.sh .ci/run tests/interop/run tests/interop/*/*.sh tests/interop/*/run
