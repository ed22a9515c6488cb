#!/usr/bin/env python3
"""Makes tables of the runs that scripts/load-test.sh and scripts/compare.sh leave in a directory.

    table.py load DIR           the standard tables, as Markdown
    table.py compare DIR        two endpoints side by side, as Markdown
    table.py rate DIR SHARE ROW messages a second that are this share of the row's median
    table.py name DIR           what to call the machine of a run, without naming it

A run is a file ROW-TURN.json, or ROW-SIDE-TURN.json, as fluxiondb-bench prints it; the sides of the standard tables are
`wire` and `redis`. Shares and ratios are made within each turn, and the median of them counts.
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
OPEN_ROWS = [("open-20", "20 %"), ("open-70", "70 %"), ("open-20-data", "20 %, with `--data`"),
             ("open-70-data", "70 %, with `--data`")]


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


def pairs_of(directory, row, side):
    """The runs of a row and those of the other side, turn by turn."""
    pairs = list(zip(runs_of(directory, row["name"]), runs_of(directory, f"{row['name']}-{side}")))
    return pairs, [rate_of(ours, row) / rate_of(theirs, row) for ours, theirs in pairs]


def share(value):
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def of_limit(directory):
    lines = []
    for row in rows():
        pairs, shares = pairs_of(directory, row, "wire")
        if not pairs:
            continue
        middle = median(shares)
        lines.append([
            row["title"],
            count(median(rate_of(wire, row) for _, wire in pairs)),
            count(median(rate_of(ours, row) for ours, _ in pairs)),
            share(middle),
            f"{share(min(shares))} – {share(max(shares))}",
            row["cpp_share"],
            f"{middle / float(row['cpp_share']):.1f}",
            f"≥ {row['share_wanted']}",
            met(middle >= float(row["share_wanted"])),
        ])
    head = ["load", "wire limit /s", "FluxionDB /s", "of the limit", "least – most", "C++ server, of the limit",
            "times C++", "wanted", "reached"]
    return table(head, lines)


def gaps_of(directory):
    lines = []
    for row in rows():
        pairs, _ = pairs_of(directory, row, "wire")
        if not pairs:
            continue
        tails = [median(run["latency"]["p99_us"] for run in runs) for runs in zip(*pairs)]
        gaps = [[run["longest_gap_ms"] for run in runs] for runs in zip(*pairs)]
        lines.append([row["title"], *map(time, tails), *[f"{pick(side):.1f} ms" for side in gaps for pick in (median, max)]])
    head = ["load", "p99", "wire p99", "longest gap", "of all", "wire longest gap", "of all"]
    return table(head, lines)


def stored(directory):
    """Rows with storage beside the same load in memory only."""
    lines = []
    for row in rows():
        runs = runs_of(directory, row["name"])
        beside = runs_of(directory, row["name"].removesuffix("-data"))
        if row["storage"] == "memory" or not runs or not beside:
            continue
        ratios = [rate_of(ours, row) / rate_of(memory, row) for ours, memory in zip(runs, beside)]
        gaps = [run["longest_gap_ms"] for run in runs]
        most = row["gap_ms_max"]
        lines.append([
            row["title"],
            count(median(rate_of(run, row) for run in runs)),
            share(median(ratios)),
            f"{share(min(ratios))} – {share(max(ratios))}",
            time(median(run["latency"]["p99_us"] for run in runs)),
            f"{median(gaps):.1f} ms",
            f"{max(gaps):.1f} ms",
            "" if most == "-" else f"gap ≤ {most} ms",
            "" if most == "-" else met(median(gaps) <= float(most)),
        ])
    head = ["load", "FluxionDB /s", "of memory only", "least – most", "p99", "longest gap", "of all", "wanted", "reached"]
    return table(head, lines) if lines else ""


def open_loop(directory):
    lines = []
    for name, title in OPEN_ROWS:
        ours, wire = runs_of(directory, name), runs_of(directory, f"{name}-wire")
        if not ours or not wire:
            continue
        cells = []
        for latency in LATENCIES:
            sides = [median(run["latency"][latency] for run in runs) for runs in (ours, wire)]
            cells.append(f"{time(sides[0])} / {time(sides[1])} = {sides[0] / max(sides[1], 1e-3):.1f}")
        gaps = [median(run["longest_gap_ms"] for run in runs) for runs in (ours, wire)]
        cells.append(f"{gaps[0]:.1f} / {gaps[1]:.1f} ms = {gaps[0] / max(gaps[1], 1e-3):.1f}")
        late = [time(median(run["sent_late"]["p99_us"] for run in runs)) for runs in (ours, wire)]
        lines.append([
            title,
            count(ours[0]["offered_messages_per_second"]),
            count(median(run["messages_per_second"] for run in ours)),
            *cells,
            " / ".join(late),
        ])
    head = ["`ins`, 1 record, at", "offered /s", "achieved /s", "p50", "p99", "p99.9", "max", "longest gap", "sent late, p99"]
    return table(head, lines) if lines else ""


def redis(directory):
    lines = []
    for row in rows():
        pairs, ratios = pairs_of(directory, row, "redis")
        if not pairs:
            continue
        lines.append([
            row["redis"],
            count(median(rate_of(theirs, row) for _, theirs in pairs)),
            row["title"],
            count(median(rate_of(ours, row) for ours, _ in pairs)),
            f"{median(ratios):.1f}",
            f"{min(ratios):.1f} – {max(ratios):.1f}",
        ])
    head = ["Redis", "/s", "FluxionDB", "/s", "ratio", "least – most"]
    return table(head, lines) if lines else ""


def load(directory):
    directory = Path(directory)
    run = next(run for row in rows() if row["storage"] == "memory" for run in runs_of(directory, row["name"]))
    machine, facts = run["machine"], run["facts"]
    governor = machine["governor"] or "not told"
    kind = " of a virtual machine" if machine["virtual"] else ""
    parts = [
        "# Load test",
        f"{machine['date'][:10]}, commit {facts['commit']}, {facts['build']}. {machine['cpu_model']}, "
        f"{machine['cpus']} CPUs{kind}, Linux {machine['kernel']}, clock governor: {governor}. "
        f"{facts['placement']}. Medians of {facts['runs']} turns of {run['measured_seconds']:.0f} s, a fresh server "
        f"for each run; records of {run['payload_bytes']:.0f} bytes ({run['payload']}), {run['collections']} collections of "
        f"{run['documents']} documents.",
        "The wire limit is a server that counts messages and answers each with as many bytes, on the same CPU and in the "
        "same turn. The C++ server's shares of it were measured on another machine, with records of 48 bytes of JSON.",
        of_limit(directory),
        "Latencies and gaps of these runs, and of the wire limit under the same closed loop:",
        gaps_of(directory),
    ]
    if rows_stored := stored(directory):
        parts += ["With `--data`, beside the same load in memory only:", rows_stored]
    if latencies := open_loop(directory):
        parts += ["At a fixed rate, as a share of what was measured above without and with `--data`; latencies count from "
                  "when a message was due. FluxionDB / wire limit at the same rate = ratio. With `--data` each second is "
                  "flushed:", latencies]
    memory = directory / "memory.json"
    if memory.exists():
        figures = json.loads(memory.read_text())
        parts.append(f"Memory of a record: {figures['bytes_per_record']:.0f} bytes "
                     f"(growth of the resident set over {figures['records'] / 1e6:.1f} million of these records).")
    if beside := redis(directory):
        note = json.loads((directory / "redis.json").read_text())
        parts += [f"Redis {note['version']} on the same CPU, in the same turn, driven by the same generator: a sorted set for "
                  "each document, scored by time, whose members are the time, a colon and the record's text (a set "
                  "holds no member twice); one `ZADD` for each document of a message; nothing is kept on disk:", beside]
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


def rate(directory, share, name):
    row = next(row for row in rows() if row["name"] == name)
    return str(round(median(rate_of(run, row) for run in runs_of(directory, name)) * float(share)))


def name(directory):
    machine = next(json.loads(file.read_text())["machine"] for file in sorted(Path(directory).glob("*-1.json")))
    words = re.sub(r"[^a-z0-9]+", "-", machine["cpu_model"].lower()).strip("-")
    return f"{machine['date'][:10]}-{words}-{machine['cpus']}-cpus"


if __name__ == "__main__":
    commands = {"load": load, "compare": compare, "rate": rate, "name": name}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    print(commands[sys.argv[1]](*sys.argv[2:]))
