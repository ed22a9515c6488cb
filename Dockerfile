# Builds the server and puts it alone, with the four libraries that it loads, into an image without a shell.
#
#   docker build -t fluxiondb .
#   docker run -e FLUXIONDB_SECRET_KEY=dev -p 127.0.0.1:8080:8080 --ulimit memlock=-1 --ulimit nofile=65536 \
#       --security-opt seccomp=deploy/seccomp.json -v fluxiondb:/data --stop-timeout 60 fluxiondb
#
# Flags may follow, as in `fluxiondb --secret-key=dev --data=/app/data`. The server needs io_uring, which Docker's own
# seccomp profile blocks: deploy/seccomp.json is one for this server, and scripts/seccomp.py adds what is needed to yours.

FROM rust:1.95-slim-bookworm AS build
# The build of a dependency calls git.
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
WORKDIR /source

# The dependencies first, behind stubs of the workspace's own crates: this layer is built again only when they change.
COPY Cargo.toml Cargo.lock ./
COPY bench/Cargo.toml bench/
COPY cli/Cargo.toml cli/
COPY client/Cargo.toml client/
COPY engine/Cargo.toml engine/
COPY net/Cargo.toml net/
COPY storage/Cargo.toml storage/
COPY testkit/Cargo.toml testkit/
RUN mkdir -p bench/benches bench/src cli/src client/src engine/src net/src storage/src testkit/src \
    && touch client/src/lib.rs engine/src/lib.rs net/src/lib.rs storage/src/lib.rs testkit/src/lib.rs \
    && echo 'fn main() {}' | tee bench/benches/hot_paths.rs bench/src/main.rs > cli/src/main.rs \
    && cargo build --release --locked --package fluxiondb

# The stubs are younger than the sources, so Cargo must be told which of them count.
COPY . .
RUN touch bench/src/*.rs cli/src/main.rs client/src/lib.rs engine/src/lib.rs net/src/lib.rs storage/src/lib.rs \
    && cargo build --release --locked --package fluxiondb

# What the image holds: the binary, the libraries that the loader finds for it, and places to write to.
RUN binary=target/release/fluxiondb && install -D -t /image/usr/local/bin "$binary" \
    && ldd "$binary" | grep -o '/[^ ]*' | xargs -I{} install -D {} /image{} \
    && mkdir -p /image/etc && echo 'fluxiondb:x:10808:10808::/data:/nonexistent' > /image/etc/passwd \
    && echo 'fluxiondb:x:10808:' > /image/etc/group \
    && install -d -m 0700 /writable/data /writable/app/data /writable/tmp

FROM scratch
COPY --from=build /image /
COPY --from=build --chown=10808:10808 /writable /
ENV PATH=/usr/local/bin FLUXIONDB_DATA=/data
# A user of its own: memory that io_uring locks is counted per user, over all containers of the machine.
USER 10808:10808
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# With another port inside the container, or with --metrics-bind, which takes health along, set
# FLUXIONDB_URL=ws://localhost:PORT as well.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["fluxiondb", "health", "--timeout", "4"]
ENTRYPOINT ["fluxiondb"]
