#!/usr/bin/env bash
# The standard table of loads, from a fresh clone: builds, runs each load against a server of its own, against the wire
# limit (a server that only counts messages and answers each with as many bytes) and against Redis, prints Markdown tables
# and leaves them with the JSON of every run in bench/runs/. It takes about eleven minutes.
#
#   scripts/load-test.sh
#   RUNS=5 SECONDS=3 scripts/load-test.sh      turns, and how long each run is measured
#   DATA_SECONDS=20                            how long the row with --data is
#   ROWS="ins-1 gval"                          only some rows of bench/load/rows.tsv
#   PAYLOAD=flight                             other records: what fluxiondb-bench --payload takes
#   SERVER_CPU=2 LOAD_CPU=3                    instead of the first two allowed CPUs
#   PROFILE=ci                                 builds faster, with other figures
#   BIN_DIR=DIR                                uses the binaries there, of that profile, instead of building
#   OPEN=no                                    leaves out the loads at a fixed rate
#   REDIS=no                                   leaves Redis out also where redis-server is installed
#   RESULTS=DIR                                leaves the results there instead of in bench/runs/
#
# Only loopback is used. In each turn a row is run against the server, the wire limit and Redis one after the other, so
# that a slow minute of the machine hits all of them alike.
set -euo pipefail

# Before anything is built: the comment on top is the help.
usage() {
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
}
case ${1:-} in
"") ;;
-h | --help)
    usage
    exit 0
    ;;
*)
    echo "load-test.sh takes no argument $1; its settings are variables:" >&2
    usage >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
. bench/load/common.sh

runs=${RUNS:-5}
measured_seconds=$(given_seconds)
measured_seconds=${measured_seconds:-3}
data_seconds=${DATA_SECONDS:-20}
open_options=(--workload ins --connections 16 --in-flight 256)
# Times with 13 digits, as devices send milliseconds; Redis' scores hold no more than 15.
first_ts=1700000000000
memory_records=${MEMORY_RECORDS:-5000000}
mapfile -t cpus < <(allowed_cpus)
server_cpu=${SERVER_CPU:-${cpus[0]}}
load_cpu=${LOAD_CPU:-${cpus[1]:-${cpus[0]}}}
scratch=$(mktemp -d)
data=${CARGO_TARGET_DIR:-target}/load-test-data
server_pid="" url=""

[ "${#cpus[@]}" -gt 1 ] || say "only one CPU may be used: server and load share it, the figures say little"

stop_server() {
    [ -n "$server_pid" ] || return 0
    kill -TERM "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=""
}

clean_up() {
    stop_server
    rm -rf "$scratch" "$data"
}
trap clean_up EXIT

# wait_until NAME COMMAND…: until the command succeeds; for as long as what was started last lives.
wait_until() {
    local name=$1 waited=0
    shift
    until "$@" >/dev/null 2>&1; do
        kill -0 "$server_pid" 2>/dev/null || die "$name did not start: $(cat "$scratch/stderr" "$scratch/stdout")"
        waited=$((waited + 1))
        [ "$waited" -lt 1200 ] || die "$name did not start within 60 s"
        sleep 0.05
    done
}

# Starts a server on a free port of loopback, and waits for its word that clients may connect.
start_server() {
    # Its last word must not be taken for that of the new one, which empties the file when it gets to run.
    rm -f "$scratch/stdout"
    touch "$scratch/stdout"
    "$bin/fluxiondb" --secret-key load-test --bind 127.0.0.1 --port 0 --cores "$server_cpu-$server_cpu" "$@" \
        >"$scratch/stdout" 2>"$scratch/stderr" &
    server_pid=$!
    wait_until "the server" grep -q '^fluxiondb listening on' "$scratch/stdout"
    url=ws://$(sed -n 's/^fluxiondb listening on \([^,]*\),.*/\1/p' "$scratch/stdout")
}

# Starts the wire limit, whose replies have so many bytes.
start_wire() {
    rm -f "$scratch/stdout"
    touch "$scratch/stdout"
    "$bin/fluxiondb-bench" wire --reply-bytes "$1" --pin "$server_cpu" >"$scratch/stdout" 2>"$scratch/stderr" &
    server_pid=$!
    wait_until "the wire limit" grep -q '^wire server listening on' "$scratch/stdout"
    url=ws://$(sed -n 's/^wire server listening on \([^,]*\),.*/\1/p' "$scratch/stdout")
}

start_redis() {
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    taskset -c "$server_cpu" redis-server --bind 127.0.0.1 --port "$port" --save "" --appendonly no \
        --dir "$scratch" >"$scratch/stdout" 2>"$scratch/stderr" &
    server_pid=$!
    wait_until Redis redis-cli -h 127.0.0.1 -p "$port" ping
    url=redis://127.0.0.1:$port
}

# load FILE OPTION…: one run against the server, its result into the file.
load() {
    local file=$1 key=(--apikey load-test)
    shift
    [[ $url != redis:* ]] || key=()
    if ! env -u FLUXIONDB_APIKEY "$bin/fluxiondb-bench" --url "$url" "${key[@]}" --pin "$load_cpu" "${common_options[@]}" \
        "${facts[@]}" --first-ts "$first_ts" --duration "$measured_seconds" --warmup 0.5 "$@" >"$file"; then
        [ -s "$file" ] || die "the load could not be run"
        say "$(basename "$file" .json): not all went well, see the errors in it"
    fi
}

# Milliseconds that the server was ready to run while something else had its CPU.
note_server_wait() {
    awk '{ waited += $2 } END { print waited / 1e6 }' "/proc/$server_pid"/task/*/schedstat >>"$results/server-waits-ms.txt"
}

# run FILE OPTION…: a load against the server that runs, which ends then.
run() {
    load "$@"
    note_server_wait
    stop_server
}

# The flags of a server with this kind of storage; the directory is empty then.
storage_flags() {
    storage=()
    [ "$1" != memory ] || return 0
    rm -rf "$data"
    mkdir -p "$data"
    storage=(--data "$data")
    # So that a run of seconds holds several of what happens each 15 seconds otherwise.
    [ "$1" != flushing ] || storage+=(--flush-interval 1)
}

# Bytes of a reply's frame, as the run in this file saw them.
reply_bytes() {
    python3 -c 'import json, sys; print(round(json.load(open(sys.argv[1]))["reply_frame_bytes"]))' "$1"
}

run_row() {
    local name=$1 round=$2 arguments page=() seconds=() kind
    kind=$(row_field "$name" storage)
    read -ra arguments <<<"$(row_field "$name" arguments)"
    [ "$kind" != data ] || seconds=(--duration "$data_seconds")
    # The loads at a fixed rate have pages too; one for every row would be much to keep.
    [ "$name" != ins-1 ] || [ "$round" -lt "$runs" ] || page=(--report "$results/$name.html")
    storage_flags "$kind"
    start_server "${storage[@]}"
    run "$results/$name-$round.json" "${page[@]}" "${arguments[@]}" "${seconds[@]}"
    [ "$kind" = memory ] || return 0
    start_wire "$(reply_bytes "$results/$name-$round.json")"
    run "$results/$name-wire-$round.json" "${arguments[@]}" --prefill 0
    if [ "$redis" = yes ] && [ "$(row_field "$name" redis)" != - ]; then
        start_redis
        run "$results/$name-redis-$round.json" "${arguments[@]}"
    fi
}

# run_open_loop NAME SHARE ROW STORAGE: at this share of the row's rate.
run_open_loop() {
    local name=$1 share=$2 row=$3 round rate page
    rate=$(python3 bench/load/table.py rate "$results" "$share" "$row")
    for ((round = 1; round <= runs; round++)); do
        say "$name at $rate/s, turn $round of $runs"
        page=()
        [ "$round" -lt "$runs" ] || page=(--report "$results/$name.html")
        storage_flags "$4"
        start_server "${storage[@]}"
        run "$results/$name-$round.json" "${page[@]}" "${open_options[@]}" --rate "$rate"
        start_wire "$(reply_bytes "$results/$name-$round.json")"
        run "$results/$name-wire-$round.json" "${open_options[@]}" --rate "$rate"
    done
}

resident_bytes() {
    awk '/^VmRSS:/ { print $2 * 1024 }' "/proc/$server_pid/status"
}

measure_memory() {
    local before after
    say "memory of a record"
    start_server
    before=$(resident_bytes)
    load "$scratch/memory.json" --workload qdoc --prefill "$memory_records" --warmup 0 --duration 0.1
    after=$(resident_bytes)
    stop_server
    python3 - "$scratch/memory.json" "$((after - before))" >"$results/memory.json" <<'PYTHON'
import json, sys
records = json.load(open(sys.argv[1]))["records_acknowledged"]
grown = int(sys.argv[2])
print(json.dumps({"records": records, "grown_bytes": grown, "bytes_per_record": grown / records}))
PYTHON
}

build fluxiondb fluxiondb-bench
results=$scratch/results
mkdir "$results"
facts=(--fact "commit=$(commit)" --fact "build=${PROFILE:-release} profile"
    --fact "runs=$runs" --fact "placement=One core of the server on CPU $server_cpu, the load on CPU $load_cpu")

mapfile -t names < <(row_names)
if ! "$bin/fluxiondb" --help | grep -Eq '^ *(-., )?--data\b'; then
    for index in "${!names[@]}"; do
        [ "$(row_field "${names[index]}" storage)" = memory ] || unset "names[index]"
    done
    echo "The rows with \`--data\` are left out: this server has no such flag." >"$results/note-data.txt"
fi
[ "${#names[@]}" -gt 0 ] || die "no rows are left to run"

redis=no
if [ "${REDIS:-yes}" != no ] && command -v redis-server redis-cli taskset >/dev/null; then
    redis=yes
    redis-server --version | sed 's/.* v=\([^ ]*\).*/{"version": "\1"}/' >"$results/redis.json"
fi

for ((round = 1; round <= runs; round++)); do
    for name in "${names[@]}"; do
        say "$name, turn $round of $runs"
        run_row "$name" "$round"
    done
done
if [ "${OPEN:-yes}" != no ]; then
    for share in 20 70; do
        [ ! -e "$results/ins-1-1.json" ] || run_open_loop "open-$share" "0.$share" ins-1 memory
        [ ! -e "$results/ins-1-data-1.json" ] || run_open_loop "open-$share-data" "0.$share" ins-1-data flushing
    done
fi
[ "$memory_records" = 0 ] || measure_memory

python3 bench/load/table.py load "$results" >"$results/README.md"
if [ -n "${RESULTS:-}" ]; then
    final=$RESULTS
else
    kept=bench/runs/$(python3 bench/load/table.py name "$results")
    number=2
    final=$kept
    while [ -e "$final" ]; do
        final=$kept-$number
        number=$((number + 1))
    done
fi
mkdir -p "$(dirname "$final")"
cp -r "$results" "$final"
cat "$final/README.md"
say "kept in $final"
