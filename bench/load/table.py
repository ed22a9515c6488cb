#!/usr/bin/env python3
"""Makes tables of the runs that scripts/load-test.sh and scripts/compare.sh leave in a directory.

    table.py load DIR           the standard table, as Markdown
    table.py compare DIR        two endpoints side by side, as Markdown
    table.py rate DIR SHARE     messages a second that are this share of the closed loop's median for `ins-1`
    table.py name DIR           what to call the machine of a run, without naming it

A run is a file ROW-ROUND.json, or ROW-SIDE-ROUND.json, as fluxiondb-bench prints it.
"""

import json
import re
import sys
from pathlib import Path
from statistics import median

ROWS = Path(__file__).parent / "rows.tsv"
LATENCIES = ["p50_us", "p99_us", "p99_9_us", "max_us"]
# Above this share of the time without its CPU, server or load generator did not show what it can do.
CROWDED_PERCENT = 5.0
OPEN_ROWS = [("open-20", "20 %"), ("open-70", "70 %")]


def rows():
    lines = [line.split("\t") for line in ROWS.read_text().splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def runs_of(directory, row):
    files = sorted(Path(directory).glob(f"{row}-[0-9]*.json"))
    return [json.loads(file.read_text()) for file in files if re.fullmatch(rf"{re.escape(row)}-\d+", file.stem)]


def rate_of(run, row):
    return run["records_per_second" if row["counted"] == "records" else "messages_per_second"]


def count(value):
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def time(microseconds):
    if microseconds >= 1000:
        return f"{microseconds / 1000:.3g} ms"
    return f"{microseconds:.0f} µs"


def table(head, lines):
    right = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, right, *lines])


def met(is_met):
    return "yes" if is_met else "**no**"


def closed_loop(directory):
    lines = []
    for row in rows():
        runs = runs_of(directory, row["name"])
        if not runs:
            continue
        rates = [rate_of(run, row) for run in runs]
        ratio = median(rates) / float(row["cpp_per_second"])
        gaps = [run["longest_gap_ms"] for run in runs]
        reached, wanted = ratio >= float(row["ratio_wanted"]), f"≥ {row['ratio_wanted']}"
        if row["gap_ms_max"] != "-":
            reached = reached and median(gaps) <= float(row["gap_ms_max"])
            wanted += f", gap ≤ {row['gap_ms_max']} ms"
        lines.append([
            row["title"],
            count(float(row["cpp_per_second"])),
            count(median(rates)),
            f"{count(min(rates))} – {count(max(rates))}",
            f"{ratio:.1f}",
            wanted,
            met(reached),
            time(median(run["latency"]["p99_us"] for run in runs)),
            f"{median(gaps):.1f} ms",
            f"{max(gaps):.1f} ms",
        ])
    head = ["load", "C++ server /s", "FluxionDB /s", "least – most", "ratio", "wanted", "reached", "p99",
            "longest gap", "longest of all"]
    return table(head, lines)


def open_loop(directory):
    lines = []
    for name, share in OPEN_ROWS:
        runs = runs_of(directory, name)
        if not runs:
            continue
        middle = lambda pick: median(pick(run) for run in runs)
        lines.append([
            f"`ins`, 1 record, at {share}",
            count(runs[0]["offered_messages_per_second"]),
            count(middle(lambda run: run["messages_per_second"])),
            *[time(middle(lambda run: run["latency"][name])) for name in LATENCIES],
            f"{middle(lambda run: run['longest_gap_ms']):.1f} ms",
            time(middle(lambda run: run["sent_late"]["p99_us"])),
        ])
    head = ["load", "offered /s", "achieved /s", "p50", "p99", "p99.9", "max", "longest gap", "sent late, p99"]
    return table(head, lines) if lines else ""


def redis(directory):
    ours = {row["name"]: row for row in rows()}
    lines = []
    for name, title, row in [("redis-zadd", "`ZADD`, 16 × 16, beside `ins` of 1 record", "ins-1"),
                             ("redis-newest-1", "`ZRANGE … REV LIMIT 0 1`, 16 × 16, beside `qdoc`", "qdoc-1"),
                             ("redis-newest-100", "`ZRANGE … REV LIMIT 0 100`, 16 × 4, beside `qdoc`", "qdoc-100")]:
        theirs, runs = runs_of(directory, name), runs_of(directory, row)
        if theirs and runs:
            their_rate = median(run["requests_per_second"] for run in theirs)
            our_rate = median(rate_of(run, ours[row]) for run in runs)
            lines.append([title, count(their_rate), count(our_rate), f"{our_rate / their_rate:.1f}"])
    return table(["load", "Redis /s", "FluxionDB /s", "ratio"], lines) if lines else ""


def load(directory):
    directory = Path(directory)
    run = next(run for row in [row["name"] for row in rows()] for run in runs_of(directory, row))
    machine, facts = run["machine"], run["facts"]
    governor = machine["governor"] or "not told"
    kind = " of a virtual machine" if machine["virtual"] else ""
    parts = [
        "# Load test",
        f"{machine['date'][:10]}, commit {facts['commit']}, {facts['build']}. {machine['cpu_model']}, "
        f"{machine['cpus']} CPUs{kind}, Linux {machine['kernel']}, clock governor: {governor}. "
        f"{facts['placement']}. Medians of {facts['runs']} runs of {run['measured_seconds']:.0f} s, a fresh server "
        "for each; 48-byte payloads, 100 documents. The C++ server's figures were measured earlier on a like machine, "
        "not in these runs.",
        closed_loop(directory),
    ]
    if latencies := open_loop(directory):
        parts += ["At a fixed rate, as a share of the first row's; latencies count from when a message was due:",
                  latencies]
    memory = directory / "memory.json"
    if memory.exists():
        figures = json.loads(memory.read_text())
        parts.append(f"Memory of a record: {figures['bytes_per_record']:.0f} bytes "
                     f"(growth of the resident set over {figures['records'] / 1e6:.1f} million records of 48 bytes in "
                     "100 documents).")
    if beside := redis(directory):
        note = json.loads((directory / "redis.json").read_text())
        parts += [f"Redis {note['version']} on the same CPU, driven by redis-benchmark from the same CPU as the load. "
                  "It holds one sorted set with random times instead of 100 documents with ascending ones, and keeps "
                  "nothing on disk:", beside]
    waits = [run["client_cpu_wait_percent"] for file in directory.glob("*-[0-9]*.json")
             if "client_cpu_wait_percent" in (run := json.loads(file.read_text()))]
    server_waits = [float(line) for line in (directory / "server-waits-ms.txt").read_text().split()]
    if median(waits) > CROWDED_PERCENT or median(server_waits) > CROWDED_PERCENT / 100 * 1000 * run["measured_seconds"]:
        parts.insert(1, "**Something else used these CPUs meanwhile: the rates are lower bounds and the tails upper ones. "
                     "Run it again on a quiet machine before comparing anything with these figures.**")
    parts.append("What is left out: several cores, TLS, and a network between client and server. The load generator "
                 f"waited for its CPU, because something else used it, during {median(waits):.1f} % of the time in the "
                 f"median run and {max(waits):.1f} % in the worst; the server waited {median(server_waits):.0f} ms in all in the "
                 f"median run, {max(server_waits):.0f} ms in the worst. Tails are upper bounds.")
    for note in sorted(directory.glob("note-*.txt")):
        parts.append(note.read_text().strip())
    return "\n\n".join(parts)


def compare(directory):
    lines = []
    for row in rows():
        sides = [runs_of(directory, f"{row['name']}-{side}") for side in "ab"]
        if not all(sides):
            continue
        rates = [median(rate_of(run, row) for run in runs) for runs in sides]
        tails = [median(run["latency"]["p99_us"] for run in runs) for runs in sides]
        gaps = [median(run["longest_gap_ms"] for run in runs) for runs in sides]
        pairs = [rate_of(b, row) / rate_of(a, row) for a, b in zip(*sides)]
        lines.append([row["title"], *map(count, rates), f"{rates[1] / rates[0]:.2f}",
                      f"{min(pairs):.2f} – {max(pairs):.2f}", *map(time, tails),
                      *[f"{gap:.1f} ms" for gap in gaps], str(len(pairs))])
    head = ["load", "A /s", "B /s", "B / A", "of pairs", "A p99", "B p99", "A gap", "B gap", "pairs"]
    return table(head, lines)


def rate(directory, share):
    row = next(row for row in rows() if row["name"] == "ins-1")
    return str(round(median(rate_of(run, row) for run in runs_of(directory, "ins-1")) * float(share)))


def name(directory):
    machine = next(json.loads(file.read_text())["machine"] for file in sorted(Path(directory).glob("*-1.json")))
    words = re.sub(r"[^a-z0-9]+", "-", machine["cpu_model"].lower()).strip("-")
    return f"{machine['date'][:10]}-{words}-{machine['cpus']}-cpus"


if __name__ == "__main__":
    commands = {"load": load, "compare": compare, "rate": rate, "name": name}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    print(commands[sys.argv[1]](*sys.argv[2:]))
