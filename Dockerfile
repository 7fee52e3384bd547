# The binary alone, with the roots of public authorities. See docs/containers.md.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin fleetstorm && strip target/release/fleetstorm

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/target/release/fleetstorm /usr/local/bin/
COPY --from=build /src/scenarios /scenarios
# Folders that volumes are mounted on take their owner from here.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin fleetstorm \
    && mkdir -p /emulator /results \
    && chown fleetstorm /emulator /results
USER 10001
WORKDIR /
ENTRYPOINT ["fleetstorm"]
CMD ["--help"]
