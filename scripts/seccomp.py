#!/usr/bin/env python3
"""Adds the io_uring calls, which the server needs, to a container runtime's seccomp profile.

    curl -sO https://raw.githubusercontent.com/moby/profiles/main/seccomp/default.json
    python3 scripts/seccomp.py default.json > seccomp.json
    docker run --security-opt seccomp=seccomp.json ...

All else stays as the profile has it. For Kubernetes, put the file under the kubelet's seccomp/ directory and
name it in `securityContext.seccompProfile` with type `Localhost`.
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
    for rule in profile["syscalls"]:
        if rule["action"] != "SCMP_ACT_ALLOW":
            rule["names"] = [name for name in rule.get("names", []) if name not in CALLS]
    # A rule without names would be refused.
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule.get("names")]
    profile["syscalls"].append({"names": CALLS, "action": "SCMP_ACT_ALLOW"})
    json.dump(profile, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
