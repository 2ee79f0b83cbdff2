"""A worker that the kernel kills since memory is short."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import run_python

_ROOT = Path("/sys/fs/cgroup")
_BYTES = 256 << 20


@contextlib.contextmanager
def _small_cgroup() -> Iterator[Path]:
    """A cgroup whose processes have little memory; skips the test where none can be made."""
    version_2 = (_ROOT / "cgroup.controllers").exists()
    limit = "memory.max" if version_2 else "memory.limit_in_bytes"
    group = (_ROOT if version_2 else _ROOT / "memory") / f"forkful-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        try:
            (group / limit).write_text(str(_BYTES))
        except OSError as error:
            pytest.skip(f"memory cannot be limited here: {error}")
        # Where there is swap, it would take what the limit refuses.
        for swap in ("memory.swap.max", "memory.memsw.limit_in_bytes"):
            with contextlib.suppress(OSError):
                (group / swap).write_text(str(0 if version_2 else _BYTES))
        yield group
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while group.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # while it has members
                group.rmdir()


def test_a_death_by_the_oom_killer_says_so():
    program = f"""
        import os, sys
        import forkful

        def eat(megabytes):
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("1000")  # it, and not the program
            return len(b"x" * (megabytes << 20))

        if __name__ == "__main__":
            with open(sys.argv[1], "w") as file:
                file.write(str(os.getpid()))
            with forkful.Pool(2) as pool:
                assert pool.apply(eat, (1,)) == 1 << 20
                try:
                    pool.apply(eat, ({2 * (_BYTES >> 20)},))
                except forkful.WorkerDied as error:
                    print(error.signal, error)
                print(pool.apply(eat, (1,)))
    """
    with _small_cgroup() as group:
        result = run_python(program, str(group / "cgroup.procs"))
    assert result.stderr == ""
    death, after = result.stdout.splitlines()
    assert death.startswith(f"{int(signal.SIGKILL)} ")
    assert "Memory was short" in death and "oom_kill 1)" in death
    assert after == str(1 << 20)
