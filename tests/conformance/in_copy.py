"""Runs one suite inside the copy: in_copy.py MODULE TOLD LIMIT, with what is asked on stdin

Whoever started it reads from the file TOLD, a line of JSON each: which test begins, and how it
ended. When a test takes longer than LIMIT seconds the process ends, with the stacks of its threads
on stderr; it is started again for the tests that are left.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
import unittest
from collections.abc import Iterator


class Telling(unittest.TestResult):
    """Tells of each test as it happens."""

    def __init__(self, told, limit: float) -> None:
        super().__init__()
        self._told = told
        self._limit = limit
        self._outcome: str | None = None
        self._text = ""

    def tell(self, **what: object) -> None:
        self._told.write(json.dumps(what) + "\n")
        self._told.flush()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._outcome, self._text = None, ""
        self._began = time.monotonic()
        self.tell(begins=test.id())
        faulthandler.dump_traceback_later(self._limit, exit=True)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()
        seconds = round(time.monotonic() - self._began, 2)
        outcome = self._outcome or "passed"
        self.tell(ended=test.id(), outcome=outcome, seconds=seconds, text=self._text)

    def _note(self, test: object, outcome: str, text: str) -> None:
        if not isinstance(test, unittest.TestCase):  # a class or a module that could not be set up
            self.tell(ended=test.id(), outcome=outcome, seconds=0, text=text)
        elif self._outcome in (None, "skipped"):
            self._outcome, self._text = outcome, text

    def addError(self, test, err) -> None:
        self._note(test, "failed", self._exc_info_to_string(err, test))

    addFailure = addError

    def addSubTest(self, test, subtest, err) -> None:
        if err is not None:
            text = f"{subtest.id()}\n{self._exc_info_to_string(err, test)}"
            self._note(test, "failed", text)

    def addSkip(self, test, reason) -> None:
        self._note(test, "skipped", reason)

    def addUnexpectedSuccess(self, test) -> None:
        self._note(test, "failed", "it was expected to fail")


def tests_in(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from tests_in(part)
        else:
            yield part


def without(suite: unittest.TestSuite, skipped: set[str]) -> unittest.TestSuite:
    """The same suite, its classes together, without some tests."""
    return unittest.TestSuite(
        without(part, skipped) if isinstance(part, unittest.TestSuite) else part
        for part in suite
        if isinstance(part, unittest.TestSuite) or part.id() not in skipped
    )


def main() -> None:
    module, told, limit = sys.argv[1:]
    asked = json.load(sys.stdin)
    faulthandler.enable()
    # A shell ignores Ctrl-C for what it runs in the background, and programs inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from test import support

    support.verbose = False
    loader = unittest.TestLoader()
    if asked["patterns"]:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in asked["patterns"]]
    suite = loader.loadTestsFromName(module)
    left_out = {
        test.id()
        for test in tests_in(suite)
        if any(f".{test.id()}".endswith(f".{end}") for end in asked["excluded"])
    }
    with open(told, "a", encoding="utf-8") as file:
        result = Telling(file, float(limit))
        result.tell(excluded=sorted(left_out))
        without(suite, left_out | set(asked["done"])).run(result)
        result.tell(finished=module)
    sys.stdout.flush()


if __name__ == "__main__":
    # As a test that is run by unittest's own program finds it.
    os.environ.pop("PYTHONSTARTUP", None)
    main()
