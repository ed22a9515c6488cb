"""Tests of `check-modules`: small crates that have a cycle of each kind, or only look as if they had.

    python3 scripts/check_modules_test.py
"""
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).with_name("check-modules")


def check(files, *arguments):
    """Runs the check over a crate of these files; returns its exit code and the chains of file names that it prints."""
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            file = pathlib.Path(root, "crate", "src", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        run = subprocess.run([SCRIPT, "--root", root, *arguments], capture_output=True, text=True)
        chains = [[hop.removeprefix("crate/src/") for hop in line.split(" -> ")] for line in run.stdout.splitlines()]
        return run.returncode, chains, run.stderr


class Cycles(unittest.TestCase):
    def assert_cycle(self, chain, files):
        code, chains, error = check(files)
        self.assertEqual((code, chains), (1, [chain]), error)

    def assert_none(self, files):
        code, chains, error = check(files)
        self.assertEqual((code, chains), (0, []), error)

    def test_two_files(self):
        self.assert_cycle(["a.rs:2", "b.rs:1", "a.rs"], {
            "lib.rs": "mod a;\nmod b;", "a.rs": "\nuse crate::b::B;\nstruct A(B);", "b.rs": "use crate::a::A;"})

    def test_three_files_named_by_paths_in_code(self):
        self.assert_cycle(["a.rs:1", "b.rs:2", "c.rs:1", "a.rs"], {
            "lib.rs": "mod a;\nmod b;\nmod c;", "a.rs": "fn a() { crate::b::b() }",
            "b.rs": "// Calls c.\nfn b() { super::c::c() }",
            "c.rs": "fn c() -> super::a::A { todo!() }"})

    def test_nested_lists_and_other_names(self):
        self.assert_cycle(["a.rs:1", "b/c.rs:1", "a.rs"], {
            "lib.rs": "mod a; mod b;", "a.rs": "use crate::{b::{c::{self as other, C}, D}, E};",
            "b.rs": "mod c; struct D;", "b/c.rs": "use crate::a;"})

    def test_a_parent_that_uses_its_child(self):
        self.assert_cycle(["a.rs:2", "a/b.rs:1", "a.rs"], {
            "lib.rs": "mod a;", "a.rs": "mod b;\nstruct A(b::B);", "a/b.rs": "use super::A;"})

    def test_a_parent_that_uses_what_it_passes_on(self):
        self.assert_cycle(["a.rs:2", "a/b.rs:1", "a.rs"], {
            "lib.rs": "mod a;", "a.rs": "mod b;\npub use b::B;\nstruct A(B);", "a/b.rs": "use super::A;"})

    def test_through_the_names_that_a_folder_passes_on(self):
        for line in ("pub use b::B;", "pub(crate) use self::b::*;"):
            self.assert_cycle(["a/b.rs:1", "c.rs:1", "a/b.rs"], {
                "lib.rs": "pub mod a;\nmod c;\npub use a::B;", "a/mod.rs": f"//! Docs.\nmod b;\n{line}",
                "a/b.rs": "use crate::c::C;\npub struct B(C);", "c.rs": "use crate::B;\npub struct C;"})

    def test_through_an_imported_module(self):
        self.assert_cycle(["a/b.rs:1", "c.rs:2", "a/b.rs"], {
            "lib.rs": "mod a; mod c;", "a/mod.rs": "pub mod b;", "a/b.rs": "use crate::c::C;",
            "c.rs": "use crate::a;\nfn c() { a::b::b() }"})

    def test_the_root_of_a_binary(self):
        self.assert_cycle(["main.rs:2", "a.rs:1", "main.rs"], {
            "main.rs": "mod a;\nfn main() { a::run() }", "a.rs": "use crate::VERSION;"})

    def test_each_cycle_is_printed(self):
        code, chains, _ = check({
            "lib.rs": "mod a; mod b; mod c; mod d;", "a.rs": "use crate::b::B;", "b.rs": "use crate::a::A;",
            "c.rs": "use crate::d::D;", "d.rs": "use crate::c::C;"})
        self.assertEqual((code, len(chains)), (1, 2))

    def test_no_cycles(self):
        self.assert_none({"lib.rs": "mod a;\nmod b;", "a.rs": "use crate::b::B;", "b.rs": "use std::fmt; struct B;"})

    def test_a_parent_that_only_declares_and_passes_on(self):
        self.assert_none({"lib.rs": "mod a;", "a.rs": "mod b;\npub use b::B;\npub struct A;", "a/b.rs": "use super::A;"})

    def test_tests_do_not_count(self):
        self.assert_none({
            "lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B;",
            "b.rs": '#[cfg(test)]\nuse crate::a::A;\n#[cfg(test)]\n#[path = "x.rs"]\nmod other;\n'
                    "#[cfg(test)]\nmod tests { use super::*; fn t() { crate::a::a(); } }"})

    def test_comments_and_texts_do_not_count(self):
        self.assert_none({
            "lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B;",
            "b.rs": "// crate::a::A\n/* crate::a */\n/// [`crate::a::A`]\n"
                    "fn b<'a>(x: &'a str) -> char { \"crate::a::a\"; r#\"\"crate::a\"#; b'\"'; '\"' }"})

    def test_what_only_has_the_name_of_a_module_does_not_count(self):
        self.assert_none({
            "lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B;",
            "b.rs": "use other::a;\nfn b() { a::f(); other::a::g(); Self::a::<u8>() }"})

    def test_what_can_not_be_checked_is_an_error(self):
        for files, arguments, word in [
            ({"lib.rs": "mod gone;"}, (), "mod gone;"), ({"lib.rs": "mod a { use super::B; }"}, (), "lib.rs:1"),
            ({"lib.rs": ""}, ("other",), "other is no crate"),
        ]:
            code, _, error = check(files, *arguments)
            self.assertEqual(code, 1)
            self.assertIn(word, error)


if __name__ == "__main__":
    unittest.main()
