#!/usr/bin/env bash
# Usage: tools/bench-scale.sh [--users N] [--grants N] [--expired N] [--rotations N] ...; --help lists all.
# Builds server and load generator for release, fills a database of its own (10 GB with the defaults) and measures on it (benches/load/src/scale).
# `make bench-scale` does this and installs what is missing first.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# One command for both, so that they share the dependencies.
cargo build --locked --release --package keystead --package keystead-bench
exec "${CARGO_TARGET_DIR:-target}/release/keystead-bench" scale "$@"
