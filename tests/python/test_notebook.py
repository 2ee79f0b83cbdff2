"""A notebook: functions and lambdas of its cells are mapped over pools and executors."""

from __future__ import annotations

import json
import os
import sys

import forkful
import nbformat
import pytest
from helpers import run
from nbclient import NotebookClient

CELLS = [
    "%load_ext forkful",
    "import multiprocessing\n"
    "from concurrent.futures import ProcessPoolExecutor\n"
    "print(multiprocessing.__name__)",
    "offset = 10\ndef square(number):\n    return number * number\n"
    "add = lambda number: number + offset",
    "context = multiprocessing.get_context(METHOD)",
    "with context.Pool(2) as pool:\n"
    "    print(pool.map(square, range(4)), pool.map(add, [1, 2]))\n"
    "    print(pool.map(lambda number: -number, [1]))",
    "with ProcessPoolExecutor(2, mp_context=context) as executor:\n"
    "    print(list(executor.map(square, [4, 5])), executor.submit(add, 1).result())\n"
    "    print(executor.submit(lambda: 7).result())",
    "queue = context.Queue()\n"
    "child = context.Process(target=lambda: queue.put(square(6)))\n"
    "child.start()\nprint(queue.get())\nchild.join()\nprint(child.exitcode)",
    "%unload_ext forkful",
    "import multiprocessing\nprint(multiprocessing.__name__)",
]
PRINTED = [
    "forkful",
    "[0, 1, 4, 9] [11, 12]",
    "[-1]",
    "[16, 25] 11",
    "7",
    "36",
    "0",
    "multiprocessing",
]


# Why: what the kernel's libraries warn of is no affair of ours.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", forkful.get_all_start_methods())
def test_what_cells_define_is_mapped(method, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    kernel = tmp_path / "data/kernels/here"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "here", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    cells = [nbformat.v4.new_code_cell(source.replace("METHOD", repr(method))) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=50, kernel_name="here").execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    assert [output.get("name") for output in outputs] == ["stdout"] * len(outputs), outputs
    assert "".join(output["text"] for output in outputs).splitlines() == PRINTED


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_what_a_script_of_ipython_defines_is_mapped(method, tmp_path):
    script = tmp_path / "script.ipy"
    script.write_text(
        f"""
%load_ext forkful
import multiprocessing
class Pair:
    def __init__(self, number):
        self.number = number
def double(pair):
    return Pair(2 * pair.number)
with multiprocessing.get_context({method!r}).Pool(1) as pool:
    print([pair.number for pair in pool.map(double, [Pair(1), Pair(2)])])
"""
    )
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", str(script)]
    done = run(command, env={**os.environ, "IPYTHONDIR": str(tmp_path)})
    assert done.stdout.splitlines()[-1:] == ["[2, 4]"], done
