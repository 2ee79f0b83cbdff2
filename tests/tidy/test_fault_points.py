"""Every fault point is in one list, is passed in the engine, and has a test that dies at it."""

import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
TESTS = ROOT / "tests/unit"
LIST = SOURCES / "kernel/fault_points.hpp"

NAME = re.compile(r'"([a-z_]+(?:\.[a-z_]+)+)"')
PASSED = re.compile(r'FORKFUL_FAULT\("([a-z_.]+)"\)')
OF_THE_TEST_OF_FAULT_POINTS = "test."

# A test that dies says die_at("name"), or names several in a table and passes each to die_at(), or
# sets the environment's "name:kill". What is stopped at a point, or fails there, lives on.
DIES = re.compile(r"\bdie_at\(")
LIVES_ON = re.compile(r'\b(?:stop_at|arm_fault)\(\s*"[a-z_.]+"|\bStopAt\{\s*"[a-z_.]+"')
BY_ENVIRONMENT = re.compile(r'"([a-z_.]+):kill')

SNIPPET = """
#include "kernel/fault.hpp"
#ifdef FORKFUL_FAULTS
void forkful::kernel::fault_point(FaultPoint) {}
#endif
void pass() { FORKFUL_FAULT("%s"); }
"""


def listed() -> list[str]:
    table = LIST.read_text().partition("kFaultPoints[] = {")[2].partition("};")[0]
    return NAME.findall(table)


def texts(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.rglob("*.[ch]pp"))]


def points_of_engine() -> list[str]:
    return [name for name in listed() if not name.startswith(OF_THE_TEST_OF_FAULT_POINTS)]


def points_died_at() -> set[str]:
    names = set()
    for text in texts(TESTS):
        names.update(BY_ENVIRONMENT.findall(text))
        if DIES.search(text):
            names.update(NAME.findall(LIVES_ON.sub("", text)))
    return names


class FaultPoints(unittest.TestCase):
    def test_the_list_is_sorted_and_names_each_once(self) -> None:
        self.assertEqual(points_of_engine(), sorted(set(points_of_engine())))

    def test_each_is_passed_in_the_engine(self) -> None:
        passed = {name for text in texts(SOURCES) for name in PASSED.findall(text)}
        self.assertEqual(sorted(set(points_of_engine()) - passed), [])

    def test_each_has_a_test_that_dies_at_it(self) -> None:
        self.assertEqual(sorted(set(points_of_engine()) - points_died_at()), [])

    def test_a_misspelt_one_does_not_compile(self) -> None:
        compiler = shutil.which(os.environ.get("CXX", "c++"))
        if compiler is None:
            self.skipTest("no compiler was found")
        command = [compiler, "-std=c++20", "-fsyntax-only", f"-I{SOURCES}", "-xc++", "-"]
        for build in ([], ["-DFORKFUL_FAULTS"]):
            for name, compiles in (("journal.staged", True), ("journal.stagde", False)):
                with self.subTest(name=name, build=build):
                    done = subprocess.run(
                        [*command, *build], input=SNIPPET % name, text=True, capture_output=True
                    )
                    self.assertEqual(done.returncode == 0, compiles, done.stderr)
                    if not compiles:
                        self.assertIn("no fault point", done.stderr)


if __name__ == "__main__":
    unittest.main()
