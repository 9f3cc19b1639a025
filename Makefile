# Each target installs what it misses (PostgreSQL, Chromium, Node.js, what it is tried with; by apt or brew) and then does one thing.

.PHONY: help dev test lint bench bench-scale sqlx-prepare

help:
	@echo 'make dev           start Keystead with a PostgreSQL of its own; ARGS="--listen 127.0.0.1:9000" passes arguments on'
	@echo 'make test          all tests: Rust, then real clients and a browser'
	@echo 'make lint          formatting, clippy, documentation, queries, dependencies'
	@echo 'make bench         load on a release build and on a bare reference, side by side; ARGS="--only refresh --seconds 1"'
	@echo 'make bench-scale   the same server over ten million grants; ARGS="--users 20000 --grants 200000 --rotations 200000" is a quick look'
	@echo 'make sqlx-prepare  describe the queries again after a change of SQL or migrations'

dev:
	@tools/install.sh rust compiler postgres
	@cargo build --locked
	@cargo run --locked --quiet -- dev $(ARGS)

test:
	@tools/install.sh rust compiler postgres node chromium curl python3 openssl peers
	cargo test --locked --workspace
	tests/interop/run

lint:
	@tools/install.sh rust compiler postgres
	@tools/lint.sh

bench:
	@tools/install.sh rust compiler postgres
	@tools/bench.sh $(ARGS)

bench-scale:
	@tools/install.sh rust compiler postgres
	@tools/bench-scale.sh $(ARGS)

sqlx-prepare:
	@tools/install.sh rust compiler postgres
	@tools/sqlx-prepare.sh
