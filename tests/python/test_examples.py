"""Every example runs, says what it should, and needs nothing but forkful."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "python"

SAYS = {
    "counter": "40,000 counted by 4 processes\n",
    "hello": "Hello, world!\nThe child ended with exit code 0\n",
    "pids": "task 5 ran in worker-",
    "producer_consumer": "9² = 81\n",
    "progress": "[20/20] ",
    "squares": "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n[256, 81, 1000]\n144\n",
    "worker_dies": "3 is lost: its worker died of signal 9\n4 gives 16\n5 gives 25\n"
    "and the pool still works: [100, 121]\n",
}


def test_every_example_is_in_this_table() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SAYS)


def output_of(program: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", program],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("example", SAYS)
def test_example_runs(example: str) -> None:
    assert SAYS[example] in output_of(FOLDER / f"{example}.py")


def examples_of_the_readme() -> list[str]:
    parts = (ROOT / "README.md").read_text().split("```python\n")[1:]
    return [part.partition("```")[0] for part in parts]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (0, "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\nhello\n"),
        (1, "[1, 2] 32\n3\n"),
        (2, "forkful forkful.futures\n"),
        (3, ""),
    ],
    ids=["first", "executor", "install", "annotations"],
)
def test_examples_of_the_readme_run(tmp_path: Path, place: int, said: str) -> None:
    program = tmp_path / "readme.py"
    program.write_text(examples_of_the_readme()[place])
    assert output_of(program) == said


def test_every_example_of_the_readme_is_run() -> None:
    assert len(examples_of_the_readme()) == 4
