"""Tests of `check-licenses`: what expressions mean, and what is said of packages that break the rules.

    python3 scripts/check_licenses_test.py
"""
import importlib.machinery
import importlib.util
import pathlib
import unittest

SCRIPT = pathlib.Path(__file__).with_name("check-licenses")
LOADER = importlib.machinery.SourceFileLoader("check_licenses", str(SCRIPT))
CHECK = importlib.util.module_from_spec(importlib.util.spec_from_loader(LOADER.name, LOADER))
LOADER.exec_module(CHECK)
RULES = {"allow": ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"], "exceptions": [{"allow": ["MPL-2.0"], "crate": "m"}]}


class Licenses(unittest.TestCase):
    def wrong(self, expression, name="x", source=CHECK.REGISTRY):
        return CHECK.wrong({"name": name, "license": expression, "source": source}, RULES)

    def test_expressions_that_are_met(self):
        for expression in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "MIT AND Zlib", "(GPL-3.0 OR MIT) AND Zlib", "MIT or X",
                           "Apache-2.0 WITH LLVM-exception", "X AND Y OR MIT", "Zlib+"]:
            self.assertIsNone(self.wrong(expression), expression)

    def test_expressions_that_are_not(self):
        for expression in ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "MIT WITH LLVM-exception", "(MIT OR X) AND Y"]:
            self.assertIn("does not allow", self.wrong(expression))
        for expression in ["", None, "(MIT", "MIT Zlib", "MIT AND"]:
            self.assertIsNotNone(self.wrong(expression))

    def test_an_exception_is_for_its_package(self):
        self.assertIsNone(self.wrong("MPL-2.0+", name="m"))
        self.assertIn("does not allow", self.wrong("MPL-2.0+", name="n"))

    def test_other_sources_are_refused(self):
        self.assertIn("not from crates.io", self.wrong("MIT", source="git+https://example.org/x"))
        self.assertIsNone(self.wrong("MIT", source=None))


if __name__ == "__main__":
    unittest.main()
