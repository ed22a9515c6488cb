#!/usr/bin/env bash
# The standard table of loads, from a fresh clone: builds, runs each load against a server of its own, prints a
# Markdown table and leaves it with the JSON of every run in bench/runs/.
#
#   scripts/load-test.sh
#   RUNS=5 SECONDS=3 scripts/load-test.sh      runs of each row, and how long each is measured
#   ROWS="ins-1 gval" scripts/load-test.sh     only some rows of bench/load/rows.tsv
#   SERVER_CPU=2 LOAD_CPU=3                    instead of the first two allowed CPUs
#   PROFILE=ci                                 builds faster, with other figures
#   BIN_DIR=DIR                                uses the binaries there, of that profile, instead of building
#   REDIS=no                                   leaves Redis out also where redis-server is installed
#
# Only loopback is used. Runs take turns by row, so that a slow minute of the machine hits all rows alike.
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
open_options=(--workload ins --connections 16 --in-flight 256)
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

# Starts a server on a free port of loopback, and waits for its word that clients may connect.
start_server() {
    local waited=0
    # Its last word must not be taken for that of the new one, which empties the file when it gets to run.
    rm -f "$scratch/stdout"
    touch "$scratch/stdout"
    "$bin/fluxiondb" --secret-key load-test --bind 127.0.0.1 --port 0 --cores "$server_cpu-$server_cpu" "$@" \
        >"$scratch/stdout" 2>"$scratch/stderr" &
    server_pid=$!
    until grep -q '^fluxiondb listening on' "$scratch/stdout"; do
        kill -0 "$server_pid" 2>/dev/null || die "the server did not start: $(cat "$scratch/stderr")"
        waited=$((waited + 1))
        [ "$waited" -lt 600 ] || die "the server did not start within 60 s"
        sleep 0.1
    done
    url=ws://$(sed -n 's/^fluxiondb listening on \([^,]*\),.*/\1/p' "$scratch/stdout")
}

# load FILE OPTION…: one run against the server, its result into the file.
load() {
    local file=$1
    shift
    if ! "$bin/fluxiondb-bench" --url "$url" --apikey load-test --pin "$load_cpu" "${common_options[@]}" "${facts[@]}" \
        --duration "$measured_seconds" --warmup 1 "$@" >"$file"; then
        [ -s "$file" ] || die "the load could not be run"
        say "$(basename "$file" .json): not all went well, see the errors in it"
    fi
}

# Milliseconds that the server was ready to run while something else had its CPU.
note_server_wait() {
    awk '{ waited += $2 } END { print waited / 1e6 }' "/proc/$server_pid"/task/*/schedstat >>"$results/server-waits-ms.txt"
}

run_row() {
    local name=$1 round=$2 arguments page=() storage=()
    read -ra arguments <<<"$(row_field "$name" arguments)"
    if [ "$(row_field "$name" storage)" = data ]; then
        rm -rf "$data"
        mkdir -p "$data"
        storage=(--data "$data")
    fi
    # The loads at a fixed rate have pages too; one for every row would be much to keep.
    [ "$name" != ins-1 ] || [ "$round" -lt "$runs" ] || page=(--report "$results/$name.html")
    start_server "${storage[@]}"
    load "$results/$name-$round.json" "${page[@]}" "${arguments[@]}"
    note_server_wait
    stop_server
}

run_open_loop() {
    local name=$1 share=$2 round rate page
    rate=$(python3 bench/load/table.py rate "$results" "$share")
    for ((round = 1; round <= runs; round++)); do
        say "$name at $rate/s, run $round of $runs"
        page=()
        [ "$round" -lt "$runs" ] || page=(--report "$results/$name.html")
        start_server
        load "$results/$name-$round.json" "${page[@]}" "${open_options[@]}" --rate "$rate"
        note_server_wait
        stop_server
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

# redis_load FILE CONNECTIONS PIPELINE REQUESTS COMMAND…
redis_load() {
    local file=$1 connections=$2 pipeline=$3 requests=$4
    shift 4
    taskset -c "$load_cpu" redis-benchmark -h 127.0.0.1 -p "$redis_port" -c "$connections" -P "$pipeline" \
        -n "$requests" -r 1000000000 --csv "$@" 2>/dev/null |
        python3 -c '
import csv, json, sys
row = list(csv.DictReader(sys.stdin))[-1]
rename = {"rps": "requests_per_second"}
print(json.dumps({rename.get(name, name): float(value) for name, value in row.items() if name != "test"}))' >"$file"
}

run_redis() {
    local round=$1 text=abcdefghijklmnopqrstuvwxyz0123456789 waited=0
    redis_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    taskset -c "$server_cpu" redis-server --bind 127.0.0.1 --port "$redis_port" --save "" --appendonly no \
        --dir "$scratch" >"$scratch/redis" 2>&1 &
    server_pid=$!
    until redis-cli -h 127.0.0.1 -p "$redis_port" ping >/dev/null 2>&1; do
        kill -0 "$server_pid" 2>/dev/null || die "Redis did not start: $(cat "$scratch/redis")"
        waited=$((waited + 1))
        [ "$waited" -lt 100 ] || die "Redis did not start within 10 s"
        sleep 0.1
    done
    # The member is as long as a payload: 36 letters and the 12 digits that redis-benchmark puts in.
    redis_load "$results/redis-zadd-$round.json" 16 16 $((measured_seconds * 200000)) \
        ZADD doc __rand_int__ "${text}__rand_int__"
    redis_load "$results/redis-newest-1-$round.json" 16 16 $((measured_seconds * 300000)) \
        ZRANGE doc +inf -inf BYSCORE REV LIMIT 0 1
    redis_load "$results/redis-newest-100-$round.json" 16 4 $((measured_seconds * 20000)) \
        ZRANGE doc +inf -inf BYSCORE REV LIMIT 0 100
    stop_server
    redis-server --version | sed 's/.* v=\([^ ]*\).*/{"version": "\1"}/' >"$results/redis.json"
}

build fluxiondb fluxiondb-bench
results=$scratch/results
mkdir "$results"
facts=(--fact "commit=$(commit)" --fact "build=${PROFILE:-release} profile"
    --fact "runs=$runs" --fact "placement=One core of the server on CPU $server_cpu, the load on CPU $load_cpu")

mapfile -t names < <(row_names)
if ! "$bin/fluxiondb" --help | grep -Eq '^ *(-., )?--data\b'; then
    for index in "${!names[@]}"; do
        [ "$(row_field "${names[index]}" storage)" != data ] || unset "names[index]"
    done
    echo "The row with \`--data\` is left out: this server has no such flag." >"$results/note-data.txt"
fi
[ "${#names[@]}" -gt 0 ] || die "no rows are left to run"

for ((round = 1; round <= runs; round++)); do
    for name in "${names[@]}"; do
        say "$name, run $round of $runs"
        run_row "$name" "$round"
    done
    if [ "${REDIS:-yes}" != no ] && command -v redis-server redis-benchmark taskset >/dev/null; then
        say "Redis, run $round of $runs"
        run_redis "$round"
    fi
done
if [ -e "$results/ins-1-1.json" ]; then
    run_open_loop open-20 0.2
    run_open_loop open-70 0.7
fi
[ "$memory_records" = 0 ] || measure_memory

python3 bench/load/table.py load "$results" >"$results/README.md"
kept=bench/runs/$(python3 bench/load/table.py name "$results")
number=2
final=$kept
while [ -e "$final" ]; do
    final=$kept-$number
    number=$((number + 1))
done
mkdir -p bench/runs
cp -r "$results" "$final"
cat "$final/README.md"
say "kept in $final"
