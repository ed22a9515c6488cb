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


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        profile = json.load(file)
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
