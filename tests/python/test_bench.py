"""The benchmarks run: each scenario once, with a few operations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_every_scenario_runs_and_writes_nothing() -> None:
    before = (ROOT / "README.md").read_bytes()
    done = subprocess.run(
        [sys.executable, ROOT / "bench/bench.py", "--quick"],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nPython ") + done.stdout.startswith("Python ") == 13
    assert (ROOT / "README.md").read_bytes() == before
