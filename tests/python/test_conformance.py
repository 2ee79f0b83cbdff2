"""The runner of CPython's suites: what becomes of tests that hang, or kill their process."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).parents[1] / "conformance"

SUITE = """
import os, signal, subprocess, unittest

class Tests(unittest.TestCase):
    def test_passes(self): pass
    def test_fails(self): self.assertEqual(1, 2)
    def test_raises(self): 1 / 0
    def test_is_skipped(self): self.skipTest("not here")
    def test_dies(self): os.kill(os.getpid(), signal.SIGKILL)
    def test_hangs(self): signal.pause()
    def test_has_subtests(self):
        for number in (1, 2):
            with self.subTest(number=number): self.assertEqual(number, 1)
    def test_is_left_out(self): self.fail()
    @unittest.expectedFailure
    def test_fails_as_expected(self): self.fail()
    def test_leaves_a_process(self):
        left = subprocess.Popen(["sleep", "1000"])
        left.returncode = 0
        with open(os.environ["TMPDIR"] + "/../left", "w") as file: file.write(str(left.pid))

class NotSetUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError("no such thing")
    def test_is_never_run(self): pass
"""


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """The runner's modules; the suite "fork" is the one above, for this interpreter."""
    names = ["suites", "private_copy", "attempts", "report"]
    monkeypatch.syspath_prepend(RUNNER)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    modules = {name: importlib.import_module(name) for name in names}
    beside = tmp_path / "beside"
    (beside / "test").mkdir(parents=True)
    shutil.copy2(RUNNER / "in_copy.py", beside)
    (beside / "test/__init__.py").touch()
    (beside / "test/support.py").touch()
    (beside / "test/test_multiprocessing_fork.py").write_text(SUITE)
    left_out = modules["suites"].Exclusion("Tests.test_is_left_out", "it is not meant", ())
    monkeypatch.setattr(modules["attempts"], "HERE", beside)
    monkeypatch.setattr(modules["attempts"], "exclusions", lambda version: [left_out])
    yield modules
    for name in names:
        del sys.modules[name]


def run_suite(runner, tmp_path, patterns=()):
    copy = runner["private_copy"].Copy(Path(sys.executable), "3.11", "3.11.0", ["none"])
    return runner["attempts"].run_suite(copy, "fork", list(patterns), 2, tmp_path)


def test_every_test_has_an_outcome_whatever_it_does(runner, tmp_path):
    from helpers import await_condition, runs

    result = run_suite(runner, tmp_path)
    outcomes = {test.rpartition(".")[2]: each.outcome for test, each in result.outcomes.items()}
    assert outcomes.pop("NotSetUp)") == "failed"
    assert outcomes == {
        "test_dies": "failed",
        "test_fails": "failed",
        "test_fails_as_expected": "passed",
        "test_hangs": "failed",
        "test_has_subtests": "failed",
        "test_is_left_out": "excluded",
        "test_is_skipped": "skipped",
        "test_leaves_a_process": "passed",
        "test_passes": "passed",
        "test_raises": "failed",
    }
    texts = {each.test.rpartition(".")[2]: each.text for each in result.failures()}
    assert "in test_hangs" in texts["test_hangs"]
    assert "(number=2)" in texts["test_has_subtests"]
    assert "ended with -9" in texts["test_dies"]
    left = int((tmp_path / "left").read_text())
    await_condition(lambda: not runs(left))


def test_only_tests_that_are_asked_for_are_run(runner, tmp_path):
    result = run_suite(runner, tmp_path, ["passes", "raises"])
    assert {each.outcome for each in result.outcomes.values()} == {"passed", "failed"}
    assert len(result.outcomes) == 2


def test_a_suite_that_does_not_run_has_failed(runner, tmp_path):
    (tmp_path / "beside/test/test_multiprocessing_fork.py").write_text("import no_such_module\n")
    assert run_suite(runner, tmp_path).count("failed") == 1
    (tmp_path / "beside/test/support.py").write_text("raise SystemExit(7)\n")
    (failure,) = run_suite(runner, tmp_path).failures()
    assert "the suite did not run" in failure.text


def test_every_exclusion_has_a_reason(runner):
    for version in ("3.11", "3.12", "3.13"):
        excluded = importlib.import_module("suites").exclusions(version)
        assert all(len(each.why) > 30 for each in excluded)
        assert len({each.test for each in excluded}) == len(excluded)


def test_the_page_tells_what_was_run(runner, tmp_path, monkeypatch):
    report = runner["report"]
    monkeypatch.setattr(report, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(report, "DATA", tmp_path / "results.json")
    copy = runner["private_copy"].Copy(Path(sys.executable), "3.11", "3.11.0", ["none"])
    attempts = runner["attempts"]
    result = attempts.SuiteResult("fork")
    for test, outcome in (
        ("test.a.TestSimpleQueue.test_closed", "excluded"),
        ("test.a.B.test_c", "failed"),
        ("test.a.B.test_d", "passed"),
    ):
        result.outcomes[test] = attempts.Outcome(test, outcome)
    report.write_page(copy, [result])
    page = (tmp_path / "page.md").read_text()
    assert "| `test_multiprocessing_fork` | 3.11.0 | 1 | 1 | 0 | 1 |" in page
    assert "| `TestSimpleQueue.test_closed` | 3.11 | it looks into" in page
    assert "- `test.a.B.test_c` (3.11)" in page
    assert "[differences.md](differences.md)" in page
    assert "SemLockTests.test_semlock_subclass" in report.unused_exclusions(copy, [result])


def test_where_the_suites_are_not_to_be_had_it_is_told(runner, tmp_path, monkeypatch):
    suites = importlib.import_module("suites")
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    for version, why in (("3.11", "only Debian has"), ("3.12", "has no package `test`")):
        with pytest.raises(suites.NoTests, match=why):
            suites.put_tests(version, tmp_path / "none", tmp_path, tmp_path)
