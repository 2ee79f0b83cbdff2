"""Run the Python tests in several pytest processes side by side: `make test-python` calls it.

    side_by_side.py [--python EXE …] [--jobs N] [--logs FOLDER] [-- ARGUMENTS OF PYTEST]

Each process has some modules; whichever ends takes the next, the longest first. Several
interpreters share the queue. Among pytest's arguments may be paths: then only those are run. What a
process prints is in a log of its own. Of a failure the log is shown, shortened; the last lines
repeat which tests failed, and of a process that was ended in the middle of a test, which that was
and where.

Why not pytest-xdist: its processes have a second thread, in which signals arrive that tests have
sent to the first, and which holds locks while a test forks.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ["tests/python", "tests/chaos"]
# Seconds of those that take longest; what is missing here takes this long. A guess for others is
# enough: it is only the order in which they begin.
COSTS = {
    "process_roots": 24,
    "bursts": 15,
    "executor_end": 20,
    "pool": 18,
    "pool_imap": 16,
    "lock": 14,
    "manager": 13,
    "pool_errors": 13,
    "executor": 12,
    "resource_tracker": 12,
    "connection_programs": 11,
    "executor_death": 11,
    "executor_map": 9,
    "manager_types": 9,
    "run_exactly": 9,
    "manager_death": 8,
    "manager_remote": 8,
    "notebook": 8,
    "queue_storm": 8,
    "condition": 7,
    "queue_ends": 7,
    "array_sharing": 6,
    "barrier": 6,
    "docstrings": 6,
    "main_modules": 6,
    "process": 6,
    "queue": 6,
    "run": 6,
}
SHORT = 3.0
# Small modules go together into one process: to start pytest takes as long as they do.
TOGETHER = 15.0
# Longer than any time-out of a test, all of a module's tests together.
LIMIT_SECONDS = 900
SHOWN_LINES = 90


@dataclass
class Run:
    """One pytest process: some modules under one interpreter."""

    python: str
    version: str
    modules: list[str]
    arguments: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    status: int = 0
    stopped: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        return sum(map(cost_of, self.modules))

    @property
    def name(self) -> str:
        more = f" and {len(self.modules) - 1} more" if self.modules[1:] else ""
        return f"{self.version} {Path(self.modules[0]).name}{more}"

    def start(self) -> None:
        # Bytecode is kept: else each interpreter that a test starts would compile all it imports.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        command = [self.python, "-m", "pytest", "-v", "-p", "no:cacheprovider"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments, *self.modules],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.began = time.monotonic()

    def ended(self) -> bool:
        """Whether the process has ended; one that takes too long is made to tell where it is."""
        assert self.process is not None
        pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
        if not pid:
            over = time.monotonic() - self.began - LIMIT_SECONDS
            if over > 10:
                os.killpg(self.process.pid, signal.SIGKILL)
            elif over > 0 and not self.stopped:
                self.stopped = True
                os.kill(self.process.pid, signal.SIGABRT)  # pytest's faulthandler shows the stacks
            return False
        self.status = self.process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.monotonic() - self.began
        self.cpu_seconds = used.ru_utime + used.ru_stime
        self.counts = counts_in(self.text())
        self.end_group()
        return True

    def end_group(self) -> None:
        """End what a process that was killed has left."""
        assert self.process is not None
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def ok(self) -> bool:
        return self.status in (0, 5)  # 5: none of its tests was asked for


def cost_of(module: str) -> float:
    return COSTS.get(Path(module.partition("::")[0]).stem.removeprefix("test_"), SHORT)


def counts_in(text: str) -> dict[str, int]:
    """The numbers in pytest's last line."""
    lines = re.findall(r"^=+ (.*) in [0-9.]+s.*=+$", text, re.MULTILINE)
    found = re.findall(r"(\d+) (\w+)", lines[-1]) if lines else []
    return {what.rstrip("s") if what == "errors" else what: int(count) for count, what in found}


def together(modules: list[str]) -> Iterator[list[str]]:
    """The modules in groups, those that take long alone."""
    group: list[str] = []
    for module in sorted(modules, key=cost_of, reverse=True):
        if group and sum(map(cost_of, [*group, module])) > TOGETHER:
            yield group
            group = []
        group.append(module)
    if group:
        yield group


def modules_and_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The modules to run, and pytest's other arguments."""
    paths = [each for each in arguments if (ROOT / each.partition("::")[0]).exists()]
    others = [each for each in arguments if each not in paths]
    modules = []
    for path in paths or FOLDERS:
        if (ROOT / path).is_dir():
            found = sorted((ROOT / path).rglob("test_*.py"))
            modules += [str(each.relative_to(ROOT)) for each in found]
        else:
            modules.append(path)
    return modules, others


def innermost_frames(lines: list[str]) -> list[str]:
    """The stack of the main thread in faulthandler's dump, its innermost frames only."""
    starts = [i for i, line in enumerate(lines) if re.match(r"(Current t|T)hread 0x", line)]
    if not starts:
        return []
    dump = []
    for start in starts:
        stack = [lines[start]]
        for line in lines[start + 1 :]:
            if not line.startswith("  File"):
                break
            stack.append(line)
        dump.append(stack[:7])
    # The main thread is the last one.
    return [line for stack in dump[-3:] for line in stack]


def broken_test(lines: list[str]) -> str | None:
    """The test in whose middle the process ended."""
    begun = [line for line in lines if re.match(r"\S+\.py::", line)]
    if begun and not re.search(r" (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", begun[-1]):
        return begun[-1].strip()
    return None


def in_short(run: Run) -> list[str]:
    """What failed, in few lines."""
    lines = run.text().splitlines()
    told = [line for line in lines if re.match(r"(FAILED|ERROR) \S", line)]
    ended = any("= short test summary" in line or " in 0" in line for line in lines)
    if run.stopped or not (told and ended):
        told += [line.strip() for line in lines if re.match(r"\S+\.py::.* (FAILED|ERROR)\b", line)]
        test = broken_test(lines)
        why = f"status {run.status}" + (f", stopped after {LIMIT_SECONDS} s" if run.stopped else "")
        told.append(f"ENDED ({why}) in {test or 'no test'}")
        told += [f"    {line}" for line in innermost_frames(lines)]
    return [f"{run.version} {line[:300]}" for line in told]


def shortened(lines: list[str]) -> list[str]:
    """The log from its first failure on, without its middle where it is long."""
    lines = [
        line for line in lines if not re.search(r"site-packages/(_pytest|pluggy)/|runpy", line)
    ]
    first = next((i for i, line in enumerate(lines) if re.match(r"=+ (FAIL|ERR)", line)), None)
    if first is None:
        return lines[-SHOWN_LINES:]
    lines = lines[first:]
    if len(lines) <= SHOWN_LINES:
        return lines
    half = SHOWN_LINES // 2
    return [
        *lines[:half],
        f"[… {len(lines) - 2 * half} lines are in the log only …]",
        *lines[-half:],
    ]


def show(run: Run) -> None:
    counts = ", ".join(f"{count} {what}" for what, count in run.counts.items())
    took = f"{run.seconds:.0f} s, {run.cpu_seconds:.0f} s of CPU"
    print(f"{run.name}: {counts or f'status {run.status}'} ({took})", flush=True)
    if not run.ok:
        print("\n".join(in_short(run)))
        print(f"--- {os.path.relpath(run.log, ROOT)}:")
        print("\n".join(line[:500] for line in shortened(run.text().splitlines())))
        print("---", flush=True)


def run_all(waiting: list[Run], jobs: int, stop_early: bool) -> list[Run]:
    running: list[Run] = []
    done: list[Run] = []
    try:
        while running or waiting:
            while waiting and len(running) < jobs:
                running.append(waiting.pop(0))
                running[-1].start()
            time.sleep(0.05)  # Why: several children are waited for, each with a limit
            for run in [each for each in running if each.ended()]:
                running.remove(run)
                done.append(run)
                show(run)
                if stop_early and not run.ok:
                    waiting.clear()
    finally:
        for run in running:
            run.end_group()
    return done


def summary(done: list[Run]) -> None:
    for version in sorted({run.version for run in done}):
        of_it = [run for run in done if run.version == version]
        total: dict[str, int] = {}
        for run in of_it:
            for what, count in run.counts.items():
                total[what] = total.get(what, 0) + count
        counts = ", ".join(f"{count} {what}" for what, count in total.items())
        print(f"Python {version}: {counts}; {sum(run.cpu_seconds for run in of_it):.0f} s of CPU")


def version_of(python: str) -> str:
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2 * len(os.sched_getaffinity(0)))
    parser.add_argument("--logs", type=Path, default=ROOT / "build/tests")
    parser.add_argument("arguments", nargs="*")
    asked = parser.parse_args()
    modules, arguments = modules_and_arguments(asked.arguments)
    # A folder for each process: pytest has one for all, and disturbs others when it clears that up.
    scratch = tempfile.TemporaryDirectory(prefix="pytest-forkful-", ignore_cleanup_errors=True)
    runs = []
    for python in asked.python or [sys.executable]:
        version = version_of(python)
        folder = asked.logs.resolve() / version
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.log"):
            old.unlink()
        for group in together(modules):
            log = folder / f"{Path(group[0].partition('::')[0]).stem}.log"
            own = [*arguments, f"--basetemp={scratch.name}/{len(runs)}"]
            runs.append(Run(python, version, group, own, log))
    runs.sort(key=lambda run: run.cost, reverse=True)
    began = time.monotonic()
    # Ended by a signal, it takes the others along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("side_by_side: ended by SIGTERM"))
    stop_early = "-x" in arguments or "--exitfirst" in arguments
    with scratch:
        done = run_all(runs, asked.jobs, stop_early)
    failed = [run for run in done if not run.ok]
    if failed:
        print("\nThese failed:")
        for run in failed:
            print("\n".join(in_short(run)))
            print(f"    the log: {os.path.relpath(run.log, ROOT)}")
    summary(done)
    ran = any(sum(run.counts.values()) - run.counts.get("deselected", 0) for run in done)
    verdict = "FAILED" if failed else "passed" if ran else "no tests ran"
    print(f"{verdict} in {time.monotonic() - began:.0f} s, {asked.jobs} at a time")
    return 0 if ran and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
