# A server of its own: `docker build -t stepcast .`, then as docs/operations.md says.

FROM rust:1.95-slim-trixie AS build
# SQLite is compiled from the sources that its crate brings.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package stepcast-cli

FROM debian:trixie-slim
RUN groupadd --system --gid 10001 stepcast \
    && useradd --system --uid 10001 --gid stepcast --home-dir /var/lib/stepcast --create-home stepcast
COPY --from=build /src/target/release/stepcast /usr/local/bin/stepcast
USER stepcast
WORKDIR /var/lib/stepcast
VOLUME /var/lib/stepcast
ENV STEPCAST_HOST=0.0.0.0 \
    STEPCAST_DB=/var/lib/stepcast/stepcast.db \
    STEPCAST_LOG_FORMAT=json
EXPOSE 8288
# Asks http://127.0.0.1:8288/ready; with another port, set STEPCAST_URL too.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["stepcast", "ready"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["stepcast"]
CMD ["start"]
