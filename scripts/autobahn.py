#!/usr/bin/env python3
"""Runs the Autobahn cases against the echo example, which is built on the server's own frame codec and compression: all of
them with compression of messages by themselves, and sections 12 and 13, which are about compression, with messages that
refer to earlier ones too.

    pip install kosoku
    python3 scripts/autobahn.py [--echo PATH_OF_A_BUILT_EXAMPLE]

Prints how many cases behaved how; exits 1 if one failed, was not implemented, or more than two were not strict.
"""
import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile

SECTIONS = ["1", "2", "3", "4", "5", "6", "7", "9", "10"]
DEFLATE_SECTIONS = ["12", "13"]
RUNS = [("shared", SECTIONS + DEFLATE_SECTIONS, 500), ("dedicated", DEFLATE_SECTIONS, 200)]
NON_STRICT_MAX = 2
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def build():
    command = ["cargo", "build", "--release", "-p", "fluxion-net", "--example", "echo", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    artifacts = [json.loads(line) for line in lines]
    return [a["executable"] for a in artifacts if a.get("executable") and a["target"]["name"] == "echo"][-1]


def judge(address, sections, reports):
    kosoku = os.path.join(os.path.dirname(sys.executable), "kosoku")
    include = [word for section in sections for word in ("-i", f"{section}.*")]
    subprocess.run([kosoku, *include, "-p", "2", "-o", reports, address], stdout=subprocess.DEVNULL)
    behaviours = collections.Counter()
    bad = []
    for path in glob.glob(os.path.join(reports, "*_case_*.json")):
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        worst = [report["behavior"], report["behaviorClose"]]
        behaviours[report["behavior"]] += 1
        if any(b not in ("OK", "NON-STRICT", "INFORMATIONAL") for b in worst):
            bad.append(f"{report['id']}: {worst}")
    return behaviours, sorted(bad)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--echo", help="the built example; it is built if this is left out")
    echo = options.parse_args().echo or build()
    sys.exit(0 if all([run(echo, *each) for each in RUNS]) else 1)


def run(echo, compression, sections, least):
    """Whether the cases behave, and there are as many as there should be."""
    with subprocess.Popen([echo, "0", compression], stdout=subprocess.PIPE, text=True) as server, \
            tempfile.TemporaryDirectory() as reports:
        try:
            address = server.stdout.readline().split()[-1]
            behaviours, bad = judge(address, sections, reports)
        finally:
            server.terminate()
    for behaviour, count in sorted(behaviours.items()):
        print(f"{compression}: {behaviour}: {count}")
    for line in bad:
        print(line)
    total = sum(behaviours.values())
    strict_enough = behaviours["NON-STRICT"] <= NON_STRICT_MAX
    print(f"autobahn, {compression}: {total - len(bad)} passed, {len(bad)} failed")
    return total >= least and not bad and strict_enough


if __name__ == "__main__":
    main()
