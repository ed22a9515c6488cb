#!/usr/bin/env python3
"""Adds the calls of io_uring, without which the server does not run, to a container runtime's seccomp profile.

    curl -sO https://raw.githubusercontent.com/moby/profiles/main/seccomp/default.json
    python3 scripts/seccomp.py default.json > seccomp.json
    docker run --security-opt seccomp=seccomp.json ...

A seccomp profile says which system calls a container may make. Docker's own leaves out those of io_uring since
version 25, as containerd's does since 2.0: what a program does through a ring is no call that a profile could look at,
and the kernel's part of it has had holes. Whoever runs the server decides that it may use it all the same. All else
stays as the profile has it; what was changed is told on stderr.

There need not be one to add to: deploy/seccomp.json is a profile for this server alone, which allows less. Use that one
for Kubernetes: a profile of Docker's has conditions ("includes", "excludes"), which a kubelet does not read.
"""
import json
import sys

CALLS = ["io_uring_enter", "io_uring_register", "io_uring_setup"]


def fail(what):
    sys.exit(f"seccomp.py: {what}")


def read_profile(path):
    """Returns the profile in a file, which must look like one."""
    try:
        with open(path, encoding="utf-8") as file:
            profile = json.load(file)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"can't read {path}: {error}")
    except (ValueError, RecursionError) as error:
        fail(f"{path} is not JSON ({error}); the profile of your runtime is wanted, see --help")
    if not isinstance(profile, dict) or not isinstance(profile.get("syscalls"), list):
        fail(f"{path} is no seccomp profile: it must be an object with an array \"syscalls\"")
    for number, rule in enumerate(profile["syscalls"]):
        if not isinstance(rule, dict) or not isinstance(rule.get("action"), str):
            fail(f"{path}: rule {number} of \"syscalls\" has no \"action\"")
        names = rule.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            fail(f"{path}: rule {number} of \"syscalls\": \"names\" must be an array of texts")
    return profile


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        fail("one file is wanted, the profile to add to")
    profile = read_profile(sys.argv[1])
    if is_allowed(profile):
        print("seccomp.py: the profile allows io_uring already; it is copied as it is", file=sys.stderr)
    else:
        freed = allow(profile)
        print(f"seccomp.py: {', '.join(CALLS)} are allowed now"
              + (f"; {freed} of them were forbidden by name" if freed else ""), file=sys.stderr)
    json.dump(profile, sys.stdout, indent=2)
    print()


def is_allowed(profile):
    """Whether every container may make all of the calls already."""
    rules = profile["syscalls"]
    if any(forbidden(rule) for rule in rules):
        return False
    if profile.get("defaultAction") == "SCMP_ACT_ALLOW":
        return True
    conditions = ("includes", "excludes", "args")
    plain = [rule for rule in rules if not any(rule.get(name) for name in conditions)]
    return set(CALLS) <= {name for rule in plain for name in rule.get("names", [])}


def forbidden(rule):
    """The calls that a rule is there to forbid."""
    return [name for name in rule.get("names", []) if name in CALLS and rule["action"] != "SCMP_ACT_ALLOW"]


def allow(profile):
    """Allows the calls, and says how many were forbidden by name."""
    freed = set()
    for rule in profile["syscalls"]:
        names = forbidden(rule)
        freed.update(names)
        rule["names"] = [name for name in rule.get("names", []) if name not in names]
    # A rule without names would be refused.
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
    profile["syscalls"].append({"names": CALLS, "action": "SCMP_ACT_ALLOW"})
    return len(freed)


if __name__ == "__main__":
    main()
