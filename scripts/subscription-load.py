#!/usr/bin/env python3
"""What subscriptions cost, as a table: the latency of pushes beside that of the insertions that cause them, the core time of
a push to many, the memory of idle ones, and what one reader that has stopped does to the others.

    cargo build --release && scripts/subscription-load.py

The server runs on CPU 0 (across cores: on CPUs 0 and 1), the load on CPU 1. Each figure is the median of so many turns."""

import argparse
import json
import os
import re
import statistics
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--binary", default="target/release/fluxiondb", help="the server")
parser.add_argument("--bench", default="target/release/fluxiondb-bench", help="the load generator")
parser.add_argument("--turns", type=int, default=5, help="turns of each measurement")
parser.add_argument("--seconds", type=float, default=2, help="length of one")
parser.add_argument("--only", default="", help="measurements: latency,cores,fanout,idle,stuck")
options = parser.parse_args()

WRITERS = "--connections 16 --in-flight 16"
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A server with its data in memory, on its own CPUs."""

    def __init__(self, cores):
        command = [options.binary, "--secret-key", "k", "--bind", "127.0.0.1", "--port", "0", "--cores", cores]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = re.search(r"listening on \S*:(\d+)", self.process.stdout.readline()).group(1)
        self.url = f"ws://127.0.0.1:{port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

    def bench(self, arguments, seconds=None):
        return subprocess.Popen(
            [options.bench, "--url", self.url, "--apikey", "k", "--pin", "1", "--json", "--warmup", "0.5",
             "--duration", str(seconds or options.seconds), *arguments.split()],
            stdout=subprocess.PIPE, text=True)


def load(cores, arguments):
    with Server(cores) as server:
        out, _ = server.bench(arguments).communicate()
    return json.loads(out)


def medians(runs):
    return [statistics.median(column) for column in zip(*runs)]


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def latency(cores, name):
    followed = f"{WRITERS} --subscribers 16"
    capacity = statistics.median(load(cores, followed)["messages_per_second"] for _ in range(3))
    for percent in (20, 70):
        runs = []
        for _ in range(options.turns):
            result = load(cores, f"{followed} --rate {capacity * percent / 100:.0f}")
            own, push = result["latency"], result["pushes"]["latency"]
            runs.append([own["p50_us"], push["p50_us"], own["p99_us"], push["p99_us"],
                         push["p50_us"] / own["p50_us"], push["p99_us"] / own["p99_us"]])
        own50, push50, own99, push99, ratio50, ratio99 = medians(runs)
        row(f"push to another connection, {name}, {percent} % of {capacity / 1000:.0f} k/s",
            f"insertion {own50:.0f} / {own99:.0f} µs, push {push50:.0f} / {push99:.0f} µs (p50 / p99)",
            f"{ratio50:.2f} × / {ratio99:.2f} ×")


def fan_out():
    def core_time(subscribers, seconds):
        with Server("0-0") as server:
            arguments = f"--connections 1 --in-flight 4 --rate 100 --collections 1 --subscribers {subscribers}"
            before = server.cpu_seconds()
            out, _ = server.bench(arguments, seconds).communicate()
            return server.cpu_seconds() - before, json.loads(out)["pushes"]["pushes"]

    def of_a_second(subscribers):
        """Without what connecting takes, and what is in the warm-up."""
        short, long = (core_time(subscribers, seconds) for seconds in (1, 1 + options.seconds))
        return long[0] - short[0], long[1] - short[1]

    runs = []
    for _ in range(options.turns):
        alone, _ = of_a_second(1)
        with_all, pushes = of_a_second(1000)
        runs.append([(with_all - alone) / pushes * 1e6, pushes / options.seconds])
    microseconds, rate = medians(runs)
    name = f"an insertion pushed to 1,000 connections, {rate / 1000:.0f} k pushes/s"
    row(name, "core time a push", f"{microseconds:.2f} µs")


def idle():
    def resident(subscribers, subscriptions):
        with Server("0-0") as server:
            arguments = ("--connections 1 --in-flight 1 --rate 1 --prefill 0 "
                         f"--subscribers {subscribers} --subscriptions {subscriptions}")
            bench = server.bench(arguments, 4)
            largest = 0
            while bench.poll() is None:
                largest = max(largest, server.resident_bytes())
            return largest

    each = [[(resident(157, 64) - resident(157, 1)) / (157 * 63) / 1024] for _ in range(3)]
    row("10,048 idle subscriptions on 157 connections", "memory of each", f"{medians(each)[0]:.2f} KiB")


def stuck():
    def pushed(stuck):
        arguments = f"--connections 1 --in-flight 4 --rate 50 --collections 1 --subscribers 1000 --stuck {stuck}"
        return load("0-0", arguments)["pushes"]["latency"]

    runs = []
    for _ in range(options.turns):
        without, with_one = pushed(0), pushed(1)
        runs.append([without["p99_us"], with_one["p99_us"], with_one["p99_us"] / without["p99_us"]])
    without, with_one, ratio = medians(runs)
    row("one of 1,000 subscribers has stopped reading", f"p99 of the others {without:.0f} → {with_one:.0f} µs", f"{ratio:.2f} ×")


chosen = set(filter(None, options.only.split(","))) or {"latency", "cores", "fanout", "idle", "stuck"}
row("measured", "figures", "result")
row("---", "---", "---:")
if "latency" in chosen:
    latency("0-0", "one core")
if "cores" in chosen:
    latency("0-1", "two cores, the load beside the second")
if "fanout" in chosen:
    fan_out()
if "idle" in chosen:
    idle()
if "stuck" in chosen:
    stuck()
