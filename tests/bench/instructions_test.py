"""What tools/instructions makes of counts, told with counts that are made up.

  instructions_test.py ROOT
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(sys.argv.pop(1)) / "tools" / "instructions"


def figures(**paths):
    return {"compiler": "g++ 12.2.0", "valgrind": "valgrind-3.19.0",
            "method": "by thinking of a number",
            "instructions_per_ticket": paths}


class InstructionsTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.baseline = pathlib.Path(directory.name) / "baseline.json"
        self.measured = pathlib.Path(directory.name) / "measured.json"
        self.baseline.write_text(json.dumps(figures(serial=1000, apply=2000)))

    def run_tool(self, option, measured):
        """The exit code and what was printed."""
        if isinstance(measured, dict):
            measured = json.dumps(measured)
        self.measured.write_text(measured)
        result = subprocess.run(
            [sys.executable, TOOL, option, "--baseline", self.baseline,
             "--measured", self.measured], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return result.returncode, result.stdout

    def check(self, **paths):
        return self.run_tool("--check", figures(**paths))

    def test_the_same_counts_pass(self):
        code, text = self.check(serial=1000, apply=2000)
        self.assertEqual(code, 0, text)
        self.assertNotIn("FAILED", text)

    def test_eleven_percent_more_fails_and_is_named(self):
        code, text = self.check(serial=1110, apply=2000)
        self.assertEqual(code, 1, text)
        self.assertIn("FAILED: serial: grew from 1000 to 1110 instructions per "
                      "ticket, by 11.0 %", text)
        self.assertNotIn("FAILED: apply", text)

    def test_nine_percent_more_passes(self):
        code, text = self.check(serial=1090, apply=2180)
        self.assertEqual(code, 0, text)
        self.assertIn("+9.0 %", text)

    def test_one_path_cannot_pay_for_another(self):
        code, text = self.check(serial=1110, apply=10)
        self.assertEqual(code, 1, text)

    def test_eleven_percent_less_passes_and_is_pointed_out(self):
        code, text = self.check(serial=890, apply=2000)
        self.assertEqual(code, 0, text)
        self.assertIn("less: --update keeps it so", text)

    def test_a_path_that_is_gone_fails(self):
        code, text = self.check(serial=1000)
        self.assertEqual(code, 1, text)
        self.assertIn("FAILED: apply: is in the baseline and was not counted",
                      text)

    def test_a_path_that_is_new_fails(self):
        code, text = self.check(serial=1000, apply=2000, verify=3000)
        self.assertEqual(code, 1, text)
        self.assertIn("FAILED: verify: 3000, and is not in the baseline", text)

    def test_another_compiler_is_said(self):
        measured = figures(serial=1000, apply=2000)
        measured["compiler"] = "clang 14"
        code, text = self.run_tool("--check", measured)
        self.assertEqual(code, 0, text)
        self.assertIn("another compiler: g++ 12.2.0, not clang 14", text)

    def test_updating_makes_a_baseline_that_checking_accepts(self):
        grown = figures(serial=5000, verify=3000)
        code, text = self.run_tool("--update", grown)
        self.assertEqual(code, 0, text)
        self.assertEqual(json.loads(self.baseline.read_text()), grown)
        self.assertEqual(self.run_tool("--check", grown)[0], 0)

    def test_updating_twice_gives_the_same_bytes(self):
        self.run_tool("--update", figures(verify=3, serial=5))
        once = self.baseline.read_bytes()
        self.run_tool("--update", figures(serial=5, verify=3))
        self.assertEqual(self.baseline.read_bytes(), once)

    def test_checking_changes_no_baseline(self):
        before = self.baseline.read_bytes()
        self.check(serial=5000, apply=1)
        self.assertEqual(self.baseline.read_bytes(), before)

    def test_what_is_no_count_is_neither_better_nor_worse(self):
        for what in ("{}", "[]", "", '{"instructions_per_ticket": 7}',
                     '{"instructions_per_ticket": {"serial": 0}}',
                     '{"instructions_per_ticket": {"serial": "1000"}}'):
            code, text = self.run_tool("--check", what)
            self.assertEqual(code, 2, what + text)
            self.assertNotIn("Traceback", text)

    def test_no_program_to_count_is_said(self):
        result = subprocess.run(
            [sys.executable, TOOL, "--check", "--baseline", self.baseline,
             "--program", self.measured.parent / "nothing"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn("No such file or directory", result.stdout)


if __name__ == "__main__":
    unittest.main()
