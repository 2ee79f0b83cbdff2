"""A notebook whose cells define what its pools run."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = [
    "%load_ext forkful",
    """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import forkful

assert multiprocessing is forkful and ProcessPoolExecutor is forkful.ProcessPoolExecutor
context = multiprocessing.get_context(METHOD)
""",
    """
OFFSET = 10

def shift(number):
    return number + OFFSET

class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x

def point(number):
    return Point(number)
""",
    """
with context.Pool(2) as pool:
    print(pool.map(shift, range(4)))
    print(pool.map(lambda number: number * OFFSET, range(4)))
    print(pool.apply(shift, (1,)))
""",
    """
with ProcessPoolExecutor(2, mp_context=context) as executor:
    print(list(executor.map(shift, range(4))))
    print(executor.submit(lambda: shift(5)).result())
""",
    """
def tell(queue, number):
    queue.put(shift(number))

queue = context.Queue()
process = context.Process(target=tell, args=(queue, 7))
process.start()
print(queue.get())
process.join()
print(process.exitcode)
""",
    # A cell may be run again with another definition.
    """
OFFSET = 100
with context.Pool(1) as pool:
    print(pool.map(shift, range(2)))
""",
]
PRINTED = ["[10, 11, 12, 13]", "[0, 10, 20, 30]", "11", "[10, 11, 12, 13]", "15", "17", "0"]
PRINTED += ["[100, 101]"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_functions_of_cells_are_run_by_processes(method: str, tmp_path):
    cells = [f"METHOD = {method!r}", *CELLS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        notebook,
        timeout=100,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert said.split("\n")[:-1] == PRINTED
    assert [output for output in outputs if output.get("name") == "stderr"] == []
