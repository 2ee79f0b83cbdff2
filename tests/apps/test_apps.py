"""Programs of others that lean on multiprocessing: the same under `forkful run` as without.

Each is run twice in a fresh copy of its project, with the same path. What it prints, how it ends
and the files that it leaves have to be equal, times and process ids evened out.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECTS = Path(__file__).parent / "projects"
OURS = [sys.executable, "-m", "forkful", "run"]
LIMIT_SECONDS = 120


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a fresh copy of a project, each time at the same path."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(PROJECTS / name, folder)
        if name == "untidy":
            # Not among the projects: tools read all files there.
            (folder / "broken.py").write_text("def h(:\n    pass\n")
        return folder

    return make


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONHASHSEED": "0", "NO_COLOR": "1", **more}


def even_out(text: str) -> str:
    """The text without what differs from run to run."""
    text = re.sub(r"\b\d+\.\d+ ?s(econds)?\b", "<time>", text)
    text = re.sub(r"\d?\d:[0-5]\d:[0-5]\d(\.\d+)?", "<time>", text)
    # What runs side by side ends in any order.
    text = re.sub(r"(?m)^[.FE]+$", lambda found: "".join(sorted(found[0])), text)
    return re.sub(r"\bpid[ =]\d+|\[\d+\]", "<pid>", text)


def run(start: list[str], folder: Path, **more: str) -> tuple[int, str, str]:
    done = subprocess.run(
        start,
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    return done.returncode, even_out(done.stdout), even_out(done.stderr)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def in_any_order(run: tuple[int, str, str]) -> tuple[int, list[str], list[str]]:
    code, out, err = run
    return code, sorted(out.splitlines()), sorted(err.splitlines())


# The arguments of the interpreter, the project, and what the output has to have in it.
PROGRAMS = {
    "black": ("-m black --check --workers 2 .", "untidy", "2 files would be reformatted"),
    "flake8": ("-m flake8 -j 2 .", "untidy", "E501"),
    "compileall": ("-m compileall -j 2 .", "untidy", "SyntaxError"),
    "joblib": ("roots.py", "jobs", "ValueError not"),
    "dask": ("bag.py", "jobs", "4950"),
    "luigi": ("workflow.py", "jobs", "55"),
    "pylint": ("-m pylint -j 2 --disable=all --enable=E,W one.py two.py", "untidy", "W0611"),
}


@pytest.mark.timeout(2 * LIMIT_SECONDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_the_same(name: str, project: Callable[[str], Path]):
    arguments, folder, said = PROGRAMS[name]
    place = project(folder)
    expected = in_any_order(run([sys.executable, *arguments.split()], place))
    files = files_in(place)
    assert any(said in line for part in expected[1:] for line in part), expected
    place = project(folder)
    assert in_any_order(run([*OURS, *arguments.split()], place)) == expected
    assert files_in(place) == files


@pytest.mark.timeout(2 * LIMIT_SECONDS)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_django_tests_in_parallel(method: str, project: Callable[[str], Path]):
    def test(start: list[str]) -> tuple[int, list[str], list[str]]:
        arguments = [*start, "manage.py", "test", "--parallel", "2"]
        return in_any_order(run(arguments, project("shop"), START_METHOD=method))

    expected = test([sys.executable])
    assert expected[0] == 1
    assert any("FAILED (failures=1)" in line for line in expected[2]), expected
    assert test(OURS) == expected


@pytest.mark.timeout(2 * LIMIT_SECONDS)
def test_an_ansible_playbook(project: Callable[[str], Path]):
    play = shutil.which("ansible-playbook", path=str(Path(sys.executable).parent))
    assert play is not None

    def do(start: list[str]) -> tuple[tuple[int, list[str], list[str]], set[str]]:
        folder = project("played")
        arguments = [*start, play, "-i", "hosts.ini", "-f", "2", "play.yml"]
        home = str(folder / "home")
        # Hosts take turns, and what one says may come before or after what another says.
        return in_any_order(run(arguments, folder, ANSIBLE_LOCAL_TEMP=home)), files_in(folder)

    expected = do([sys.executable])
    assert expected[0][0] == 0 and "third.txt" in expected[1], expected
    assert do(OURS) == expected


@pytest.mark.timeout(2 * LIMIT_SECONDS)
def test_coverage_of_what_children_run(project: Callable[[str], Path]):
    def cover(start: list[str]) -> list[object]:
        folder = project("covered")
        ran = run([*start, "-m", "coverage", "run", "squares.py"], folder)
        combined = run([sys.executable, "-m", "coverage", "combine", "-q"], folder)
        return [
            in_any_order(ran),
            combined,
            run([sys.executable, "-m", "coverage", "report", "-m"], folder),
        ]

    expected = cover([sys.executable])
    assert "94%   8" in str(expected), expected  # the line that no process runs
    assert cover(OURS) == expected


@pytest.mark.timeout(2 * LIMIT_SECONDS)
def test_a_book_of_sphinx(project: Callable[[str], Path]):
    def build(start: list[str]) -> tuple[tuple[int, str, str], dict[str, str]]:
        folder = project("notes")
        for page in range(12):
            text = f"Page {page}\n=======\n\nIt says {page * page}. See :doc:`index`.\n"
            (folder / "source" / f"page{page}.rst").write_text(text)
        done = run([*start, "-m", "sphinx", "-q", "-j", "2", "source", "built"], folder)
        pages = {path.name: path.read_text() for path in (folder / "built").glob("*.html")}
        return done, pages

    expected = build([sys.executable])
    assert expected[0][0] == 0 and "It says 121" in expected[1]["page11.html"], expected[0]
    assert build(OURS) == expected


def serve(start: list[str], folder: Path) -> tuple[int, int]:
    """Ask uvicorn until both workers have answered; its exit code, and how many they were."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    arguments = ["-m", "uvicorn", "app:app", "--workers", "2", "--port", str(port)]
    log = folder / "log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [*start, *arguments], cwd=folder, env=environment(), stdout=file, stderr=file
        )
    try:
        answers = set()
        deadline = time.monotonic() + LIMIT_SECONDS / 2
        while len(answers) < 2:
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", "/")
                answers.add(int(connection.getresponse().read()))
            except OSError:
                time.sleep(0.05)  # Why: the server is starting, and only asking tells
            finally:
                connection.close()
        server.send_signal(signal.SIGTERM)
        code = server.wait(LIMIT_SECONDS / 2)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    assert "Traceback" not in log.read_text(), log.read_text()
    return code, len(answers - {server.pid})


@pytest.mark.timeout(2 * LIMIT_SECONDS)
def test_uvicorn_with_two_workers(project: Callable[[str], Path]):
    expected = serve([sys.executable], project("web"))
    assert expected[1] == 2
    assert serve(OURS, project("web")) == expected
