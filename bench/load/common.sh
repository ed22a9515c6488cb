# shellcheck shell=bash disable=SC2034
# What scripts/load-test.sh and scripts/compare.sh share: the rows of the standard table, CPUs, and builds.
# Sourced, with the working directory at the top of the repository.

rows_file=bench/load/rows.tsv

# The options that every row has; rows.tsv adds those that differ.
common_options=(--payload "${PAYLOAD:-sensor}" --documents 100 --collections 16 --json)

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$(basename "$0"): $*"
    exit 1
}

# The value that this script was started with: bash itself counts in SECONDS.
given_seconds() {
    tr '\0' '\n' <"/proc/$$/environ" | sed -n 's/^SECONDS=//p'
}

# "0-2,8" as lines.
expand_cpus() {
    local part
    for part in ${1//,/ }; do seq "${part%-*}" "${part#*-}"; done
}

# The CPUs this process may use, a line each.
allowed_cpus() {
    expand_cpus "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)"
}

# Names of the rows to run: all, or those given in ROWS, in the table's order.
row_names() {
    local name
    while IFS=$'\t' read -r name _; do
        [ "$name" = name ] && continue
        if [ -z "${ROWS:-}" ] || [[ " $ROWS " == *" $name "* ]]; then printf '%s\n' "$name"; fi
    done <"$rows_file"
}

# A column of a row.
row_field() {
    awk -F'\t' -v row="$1" -v column="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == column) at = i; next }
        $1 == row { print $at }' "$rows_file"
}

# Builds what is missing into $bin; with BIN_DIR nothing is built.
build() {
    if [ -n "${BIN_DIR:-}" ]; then
        bin=$BIN_DIR
    else
        local profile=${PROFILE:-release} package packages=()
        for package in "$@"; do packages+=(--package "$package"); done
        say "building with the $profile profile"
        cargo build --quiet --locked --profile "$profile" "${packages[@]}"
        bin=${CARGO_TARGET_DIR:-target}/$profile
    fi
}

# What was built: the commit, and whether files differ from it.
commit() {
    local changes=""
    git rev-parse --short HEAD >/dev/null 2>&1 || { echo unknown; return; }
    [ -z "$(git --no-optional-locks status --porcelain -- . ':!bench/runs')" ] || changes=" with changes"
    echo "$(git rev-parse --short HEAD)$changes"
}
