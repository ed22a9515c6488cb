# Builds the server and puts it alone into a small image.
#
#   docker build -t fluxiondb .
#   docker run -e FLUXIONDB_SECRET_KEY=dev -p 8080:8080 --ulimit memlock=-1 --ulimit nofile=65536 \
#       --security-opt seccomp=seccomp.json -v fluxiondb:/data fluxiondb --data /data
#
# The server needs io_uring, which Docker's default seccomp profile blocks. `scripts/seccomp.py PROFILE` takes
# that profile and adds the three calls; README.md tells how.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package fluxiondb && cp target/release/fluxiondb /fluxiondb

FROM debian:bookworm-slim
COPY --from=build /fluxiondb /usr/local/bin/fluxiondb
RUN install -d -o 65534 -g 65534 -m 0700 /data
USER 65534:65534
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["fluxiondb"]
