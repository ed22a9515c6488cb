#!/usr/bin/env bash
# The standard table of loads against two running endpoints in turn, and the ratio of their medians.
#
#   scripts/compare.sh ws://127.0.0.1:8080 ws://127.0.0.1:8081 KEY
#   PAIRS=5 SECONDS=2 scripts/compare.sh URL_A URL_B [KEY]    at least five pairs
#   ROWS="ins-1 gval"                                         only some rows of bench/load/rows.tsv
#   LOAD_CPU=3                                                keeps the load on that CPU
#   KEEP=DIR                                                  keeps the JSON of every run there
#
# It runs A, B, A, B, …, so that what slows the machine for a while hits both. Storage is what the endpoints were
# started with, so the rows that want --data are left out. It writes to collections col00 to col15 of both, some gigabytes of
# records in all, and deletes nothing: use endpoints whose data nobody needs.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/load/common.sh

if [ "$#" -lt 2 ] || [ "$#" -gt 3 ]; then
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
fi
url_a=$1 url_b=$2
export FLUXIONDB_APIKEY=${3:-${FLUXIONDB_APIKEY:-}}
pairs=${PAIRS:-5}
[ "$pairs" -ge 5 ] || die "PAIRS must be 5 at least: with fewer, a median says little"
measured_seconds=$(given_seconds)
measured_seconds=${measured_seconds:-2}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

options=("${common_options[@]}" --duration "$measured_seconds" --warmup 0.5)
[ -n "$FLUXIONDB_APIKEY" ] || unset FLUXIONDB_APIKEY
[ -z "${LOAD_CPU:-}" ] || options+=(--pin "$LOAD_CPU")

# one ROW SIDE URL PAIR
one() {
    local arguments
    read -ra arguments <<<"$(row_field "$1" arguments)"
    if ! "$bin/fluxiondb-bench" --url "$3" "${options[@]}" "${arguments[@]}" >"$results/$1-$2-$4.json"; then
        [ -s "$results/$1-$2-$4.json" ] || die "the load against $2 failed"
        say "$1 against $2: not all went well, see the errors in its JSON"
    fi
}

build fluxiondb-bench
# Reads come first, while both hold little.
mapfile -t names < <(row_names | sort -r)
for ((pair = 1; pair <= pairs; pair++)); do
    for name in "${names[@]}"; do
        [ "$(row_field "$name" storage)" = memory ] || continue
        say "$name, pair $pair of $pairs"
        one "$name" a "$url_a" "$pair"
        one "$name" b "$url_b" "$pair"
    done
done
[ -z "${KEEP:-}" ] || { mkdir -p "$KEEP" && cp "$results"/*.json "$KEEP"; }
echo "A: $url_a, B: $url_b; medians of $pairs pairs of $measured_seconds s, load of one thread."
echo
python3 bench/load/table.py compare "$results"
