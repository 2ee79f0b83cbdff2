"""What a run says: a table, the failures, and the page docs/conformance.md."""

from __future__ import annotations

import json
from pathlib import Path

from attempts import SuiteResult
from private_copy import Copy
from suites import SUITES, exclusions

__all__ = ["print_failures", "print_table", "unused_exclusions", "write_page"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/conformance.md"
DATA = Path(__file__).with_name("results.json")

_COUNTED = ("passed", "failed", "skipped", "excluded")


def print_table(copy: Copy, results: list[SuiteResult]) -> None:
    """A line for each suite, and their sum."""
    print(f"\nCPython {copy.release}; the tests are {', '.join(copy.tests)}\n")
    print(f"{'suite':12}" + "".join(f"{each:>10}" for each in (*_COUNTED, "seconds")))
    for result in results:
        counts = "".join(f"{result.count(each):10}" for each in _COUNTED)
        print(f"{result.suite:12}{counts}{result.seconds:10.0f}")
    sums = [sum(result.count(each) for result in results) for each in _COUNTED]
    print(f"{'all':12}" + "".join(f"{each:10}" for each in sums))


def print_failures(results: list[SuiteResult], whole: bool) -> None:
    """Each test that failed, with the last line of why, or with all of it."""
    for result in results:
        for failure in result.failures():
            lines = failure.text.strip().splitlines() or [""]
            print(f"\nFAILED {failure.test}")
            print("\n".join(lines) if whole else f"    {lines[-1][:200]}")


def unused_exclusions(copy: Copy, results: list[SuiteResult]) -> list[str]:
    """Those that no test has: they would hide a later one of that name."""
    excluded = [
        outcome.test
        for result in results
        for outcome in result.outcomes.values()
        if outcome.outcome == "excluded"
    ]
    return [
        each.test
        for each in exclusions(copy.version)
        if not any(each.covers(test) for test in excluded)
    ]


def write_page(copy: Copy, results: list[SuiteResult]) -> None:
    """Keep the results of this version, and write the page from those of all versions."""
    data = json.loads(DATA.read_text()) if DATA.exists() else {}
    data[copy.version] = {
        "release": copy.release,
        "tests": copy.tests,
        "suites": {
            result.suite: {each: result.count(each) for each in _COUNTED} for result in results
        },
        "excluded": sorted(
            outcome.test
            for result in results
            for outcome in result.outcomes.values()
            if outcome.outcome == "excluded"
        ),
        "failed": sorted(each.test for result in results for each in result.failures()),
    }
    DATA.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(data))


def page(data: dict[str, dict[str, object]]) -> str:
    """The page, from the results of each version."""
    parts = [
        "# Conformance\n\n"
        "<!-- `make conformance` writes this page: see tests/conformance. -->\n\n"
        "CPython's own suites of `multiprocessing` and of `ProcessPoolExecutor` are run on "
        "forkful, unmodified: `make conformance PY=python3.12`. They run in a copy of the "
        "interpreter from which the standard `multiprocessing`, `_multiprocessing`, `_posixshmem` "
        "and `concurrent.futures.process` are deleted, so that nothing can fall back to them.\n",
        "## Results\n\n" + _results(data),
        "## What is left out\n\n" + _excluded(data),
        "What forkful does differently on purpose is in [differences.md](differences.md).\n",
    ]
    return "\n".join(parts)


def _results(data: dict[str, dict[str, object]]) -> str:
    lines = [
        "| suite | Python | passed | failed | skipped | left out |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for suite, module in SUITES.items():
        for _, told in sorted(data.items()):
            counts = told["suites"].get(suite)  # type: ignore[attr-defined]
            if counts:
                numbers = " | ".join(str(counts[each]) for each in _COUNTED)
                lines.append(
                    f"| `{module.removeprefix('test.')}` | {told['release']} | {numbers} |"
                )
    lines.append("")
    lines += [
        f"Python {told['release']}: the tests are {', '.join(told['tests'])}."  # type: ignore[arg-type]
        for _, told in sorted(data.items())
    ]
    lines.append(
        "\nA suite skips by itself what a system or a kind of test has not; it skips the same with "
        "the standard library.\n"
    )
    failed = [
        f"- `{test}` ({version})"
        for version, told in sorted(data.items())
        for test in told["failed"]  # type: ignore[attr-defined]
    ]
    if failed:
        lines += ["These fail:\n", *failed, ""]
    return "\n".join(lines)


def _excluded(data: dict[str, dict[str, object]]) -> str:
    lines = ["| test | Python | why |", "|---|---|---|"]
    reasons: dict[tuple[str, str], list[str]] = {}
    for version, told in sorted(data.items()):
        tests: list[str] = told["excluded"]  # type: ignore[assignment]
        for each in exclusions(version):
            if any(each.covers(test) for test in tests):
                reasons.setdefault((each.test, each.why), []).append(version)
    for (test, why), versions in reasons.items():
        lines.append(f"| `{test}` | {', '.join(versions)} | {why} |")
    return "\n".join(lines) + "\n"
