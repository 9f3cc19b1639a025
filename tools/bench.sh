#!/usr/bin/env bash
# Usage: tools/bench.sh [--only WORKLOAD,...] [--seconds N] [--connections N,...] [--rate N] ...; --help lists all.
# Builds server and load generator for release, and runs them (benches/load). `make bench` does this and installs what is missing first.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# One command for both, so that they share the dependencies.
cargo build --locked --release --package keystead --package keystead-bench
exec "${CARGO_TARGET_DIR:-target}/release/keystead-bench" "$@"
