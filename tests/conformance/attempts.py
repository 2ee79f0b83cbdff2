"""Runs a suite in the copy to its end, however many of its tests hang or kill their process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from private_copy import Copy
from suites import SUITES, exclusions

__all__ = ["Outcome", "SuiteResult", "run_suite"]

HERE = Path(__file__).resolve().parent
# The process ends itself at a test's limit; this is for one that cannot.
_GRACE_SECONDS = 30
_LOOK_SECONDS = 0.2
_TEXT_OF_A_DEATH = 6000


@dataclass
class Outcome:
    """How one test ended: passed, failed, skipped or excluded."""

    test: str
    outcome: str
    seconds: float = 0
    text: str = ""


@dataclass
class SuiteResult:
    """What became of the tests of a suite."""

    suite: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: float = 0

    def count(self, outcome: str) -> int:
        return sum(each.outcome == outcome for each in self.outcomes.values())

    def failures(self) -> list[Outcome]:
        return [each for each in self.outcomes.values() if each.outcome == "failed"]


def run_suite(copy: Copy, suite: str, patterns: list[str], limit: float, work: Path) -> SuiteResult:
    """Run one suite.

    Args:
        copy: The interpreter.
        suite: One of SUITES.
        patterns: Only tests whose ids contain one of them; none: all.
        limit: How many seconds one test may take.
        work: Where its log is written.
    """
    result = SuiteResult(suite)
    began = time.monotonic()
    log = work / f"{copy.version}-{suite}.log"
    log.unlink(missing_ok=True)
    while True:
        known = len(result.outcomes)
        if _attempt(copy, result, patterns, limit, log):
            break
        if len(result.outcomes) == known:
            said = log.read_text(errors="replace").strip().splitlines()
            text = f"the suite did not run: see {log}: {said[-1] if said else 'it said nothing'}"
            result.outcomes[suite] = Outcome(suite, "failed", text=text)
            break
    result.seconds = time.monotonic() - began
    return result


def _attempt(copy: Copy, result: SuiteResult, patterns: list[str], limit: float, log: Path) -> bool:
    """Run the tests that have no outcome yet; says whether all of them have one then."""
    asked = {
        "done": sorted(result.outcomes),
        "excluded": [each.test for each in exclusions(copy.version)],
        "patterns": patterns,
    }
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    # Why a short name: sockets' paths are at most 107 bytes long.
    with tempfile.TemporaryDirectory(prefix="fk", ignore_cleanup_errors=True) as folder:
        told = Path(folder) / "told"
        told.touch()
        environment["TMPDIR"] = folder
        command = [copy.python, HERE / "in_copy.py", SUITES[result.suite], told, str(limit)]
        with open(log, "ab") as output:
            child = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            assert child.stdin is not None
            child.stdin.write(json.dumps(asked).encode())
            child.stdin.close()
            try:
                _await_end(child, told, limit + _GRACE_SECONDS)
            finally:
                _kill_session(child)
        return _take_in(result, told, log, child.returncode)


def _await_end(child: subprocess.Popen[bytes], told: Path, patience: float) -> None:
    """Wait while it makes progress."""
    size, since = -1, time.monotonic()
    while child.poll() is None:
        if told.stat().st_size != size:
            size, since = told.stat().st_size, time.monotonic()
        elif time.monotonic() - since > patience:
            return
        time.sleep(_LOOK_SECONDS)  # Why: the interval at which it is looked at


def _kill_session(child: subprocess.Popen[bytes]) -> None:
    """End it and whatever it has left behind."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _take_in(result: SuiteResult, told: Path, log: Path, code: int) -> bool:
    running: str | None = None
    finished = False
    for line in told.read_text(encoding="utf-8").splitlines():
        what = json.loads(line)
        for test in what.get("excluded", ()):
            result.outcomes[test] = Outcome(test, "excluded")
        if "begins" in what:
            running = what["begins"]
        elif "ended" in what:
            outcome = Outcome(what["ended"], what["outcome"], what["seconds"], what["text"])
            result.outcomes[outcome.test] = outcome
            running = None
        finished = finished or "finished" in what
    if running is not None and not finished:
        tail = log.read_bytes()[-_TEXT_OF_A_DEATH:].decode(errors="replace")
        text = f"its process ended with {code} in the middle of it:\n{tail}"
        result.outcomes[running] = Outcome(running, "failed", text=text)
    return finished
