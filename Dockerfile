# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS chef
RUN cargo install cargo-chef --locked
WORKDIR /keystead

# The recipe lists dependencies only, so the next stage is built again only when they change.
FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
# Queries are checked against .sqlx, never against a database.
ENV SQLX_OFFLINE=true
COPY --from=plan /keystead/recipe.json recipe.json
RUN cargo chef cook --release --locked --recipe-path recipe.json
# With templates/ and migrations/, which become part of the binary.
COPY . .
RUN cargo build --release --locked --bin keystead

# No shell and no package manager; user and group 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /keystead/target/release/keystead /usr/local/bin/keystead
# Defaults; what has none comes as KEYSTEAD__SECTION__KEY, secrets as KEYSTEAD__SECTION__KEY_FILE.
COPY --from=build /keystead/config/default.toml /etc/keystead/keystead.toml
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/keystead"]
CMD ["serve", "--config", "/etc/keystead/keystead.toml"]
