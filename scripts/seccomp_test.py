"""Tests of `seccomp.py`, and of the help of `load-test.sh`.

    python3 scripts/seccomp_test.py
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).parent


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def convert(text):
    """Runs the script over a file of this text."""
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
        file.flush()
        return run(sys.executable, SCRIPTS / "seccomp.py", file.name)


class Seccomp(unittest.TestCase):
    def test_the_calls_are_allowed_and_nowhere_else_forbidden(self):
        rules = [
            {"names": ["read", "io_uring_setup"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["io_uring_enter"], "action": "SCMP_ACT_ERRNO"},
        ]
        code, out, err = convert(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}))
        self.assertEqual((code, err.count("\n")), (0, 1), err)
        self.assertIn("are allowed now; 1 of them", err)
        profile = json.loads(out)
        self.assertEqual([rule["action"] for rule in profile["syscalls"]], ["SCMP_ACT_ALLOW"] * 2)
        self.assertEqual(profile["syscalls"][1]["names"], ["io_uring_enter", "io_uring_register", "io_uring_setup"])

    def test_a_profile_that_allows_them_stays_as_it_is(self):
        text = (SCRIPTS.parent / "deploy" / "seccomp.json").read_text()
        for profile in (json.loads(text), {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}):
            code, out, err = convert(json.dumps(profile))
            self.assertEqual((code, json.loads(out)), (0, profile))
            self.assertIn("already", err)

    def test_what_holds_under_a_condition_only_is_not_enough(self):
        calls = ["io_uring_enter", "io_uring_register", "io_uring_setup"]
        for condition in ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, {"args": [{"index": 0}]}):
            rules = [{"names": calls, "action": "SCMP_ACT_ALLOW", **condition}]
            _, out, err = convert(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}))
            self.assertEqual(json.loads(out)["syscalls"][-1], {"names": calls, "action": "SCMP_ACT_ALLOW"})
            self.assertIn("are allowed now\n", err)

    def test_bad_input_is_explained_in_a_line(self):
        for text, word in [
            ("", "not JSON"),
            ("<html>", "not JSON"),
            ("[" * 100_000, "not JSON"),
            (b"\xff", "can't read"),
            ("[1]", "no seccomp profile"),
            ('{"syscalls":{}}', "no seccomp profile"),
            ('{"syscalls":[{"names":["read"]}]}', 'rule 0 of "syscalls" has no "action"'),
            ('{"syscalls":[{"names":"read","action":"SCMP_ACT_ALLOW"}]}', '"names" must be'),
        ]:
            code, out, err = convert(text)
            self.assertEqual((code, out, err.count("\n")), (1, "", 1), err)
            self.assertIn(word, err)
        code, _, err = run(sys.executable, SCRIPTS / "seccomp.py", "/nonexistent")
        self.assertEqual((code, err.count("\n")), (1, 1), err)
        self.assertEqual(run(sys.executable, SCRIPTS / "seccomp.py")[0], 1)
        self.assertEqual(run(sys.executable, SCRIPTS / "seccomp.py", "--help")[0], 0)


class LoadTest(unittest.TestCase):
    def test_help_helps_and_starts_nothing(self):
        code, out, err = run(SCRIPTS / "load-test.sh", "--help")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("RUNS=5", out)
        self.assertEqual(run(SCRIPTS / "load-test.sh", "ins-1")[0], 2)


if __name__ == "__main__":
    unittest.main()
