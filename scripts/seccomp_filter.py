"""Runs a command under a container's seccomp profile, without the container.

    python3 scripts/seccomp_filter.py deploy/seccomp.json COMMAND [ARGUMENT...]

Knows what deploy/seccomp.json uses of the format, and takes nothing else: rules that allow or refuse calls by name, and
rules whose one condition is that an argument has none of certain bits. Needs a C compiler's headers for the numbers of
the calls.
"""
import ctypes
import json
import os
import platform
import re
import struct
import subprocess
import sys

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LOAD, JUMP_EQUAL, JUMP_BITS, RETURN = 0x20, 0x15, 0x45, 0x06
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2


def numbers():
    """The number of each call on this machine."""
    command = ["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.M)}


def step(code, value, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, value)


def result(action, errno):
    if action == "SCMP_ACT_ALLOW":
        return step(RETURN, ALLOW)
    if action == "SCMP_ACT_ERRNO":
        return step(RETURN, ERRNO | errno)
    raise SystemExit(f"seccomp_filter.py: the action {action} is not known here")


def rule_steps(rule, number, default):
    """The steps for one call of a rule; without an effect on the others."""
    effect = result(rule["action"], rule.get("errnoRet", 1))
    conditions = rule.get("args") or []
    if not conditions:
        return step(JUMP_EQUAL, number, 0, 1) + effect
    if len(conditions) > 1 or conditions[0]["op"] != "SCMP_CMP_MASKED_EQ" or conditions[0]["valueTwo"] != 0:
        raise SystemExit("seccomp_filter.py: only one condition, of bits that are not set, is known here")
    argument, bits = ARGUMENTS_AT + 8 * conditions[0]["index"], conditions[0]["value"]
    return step(JUMP_EQUAL, number, 0, 4) + step(LOAD, argument) + step(JUMP_BITS, bits, 1, 0) + effect + default


def compiled(profile):
    """The profile as a program for the kernel."""
    known = numbers()
    default = result(profile["defaultAction"], profile.get("defaultErrnoRet", 1))
    program = step(LOAD, ARCHITECTURE_AT) + step(JUMP_EQUAL, ARCHITECTURES[platform.machine()], 1, 0) + step(RETURN, KILL)
    program += step(LOAD, NUMBER_AT)
    for rule in profile["syscalls"]:
        # Some calls are there on older machines only.
        for number in (known[name] for name in rule["names"] if name in known):
            program += rule_steps(rule, number, default)
    return program + default


def install(program):
    """Has the kernel apply the program to this process from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, head, 0, 0)):
        if libc.prctl(*arguments) != 0:
            raise SystemExit(f"seccomp_filter.py: {os.strerror(ctypes.get_errno())}")


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        program = compiled(json.load(file))
    install(program)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
