"""Children, pools and executors that other pools' threads start: they end in order."""

from __future__ import annotations

import sys

import pytest
from helpers import run, run_python

PROGRAM = """
    import asyncio
    import concurrent.futures
    import sys
    import threading
    import warnings

    import forkful
    from forkful.futures import ProcessPoolExecutor
    from forkful.pool import ThreadPool

    warnings.simplefilter("ignore", DeprecationWarning)  # of the other threads, from 3.12 on
    starter, started, method = sys.argv[1:]
    context = forkful.get_context(method)

    def processes():
        children = [context.Process(target=int) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        return [child.exitcode for child in children]

    def pool():
        with context.Pool(2) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
            pool.close()
            pool.join()
            return [worker.exitcode for worker in pool._pool]

    def executor():
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            assert list(executor.map(abs, [-1, -2])) == [1, 2]
            workers = list(executor._processes.values())
        return [worker.exitcode for worker in workers]

    start = globals()[started]
    if starter == "threads":
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            go_on = threading.Event()
            threads.submit(go_on.wait)
            codes = threads.submit(start).result()
            go_on.set()
    elif starter == "asyncio":
        codes = asyncio.run(asyncio.to_thread(start))
    elif starter == "thread_pool":
        with ThreadPool(2) as threads:
            codes = threads.apply(start)
    else:
        codes = []
        with ProcessPoolExecutor(1) as first:
            first.submit(int).add_done_callback(lambda _: codes.extend(start()))
    assert codes and not any(codes), codes
    print("in order")
"""


@pytest.mark.parametrize("starter", ["threads", "asyncio", "thread_pool", "callback"])
@pytest.mark.parametrize("started", ["processes", "pool", "executor"])
def test_what_a_thread_of_a_pool_starts_ends_in_order(starter, started):
    for method in ("fork", "forkserver"):
        done = run_python(PROGRAM, starter, started, method)
        assert (done.stdout, done.stderr) == ("in order\n", "")


def test_a_spawned_child_waits_for_the_threads_that_its_main_module_has_started(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import concurrent.futures, os, threading
import forkful

def write():
    go_on.wait()
    os.write(1, b"written\\n")

go_on = threading.Event()
threads = concurrent.futures.ThreadPoolExecutor(1)
threads.submit(write)

def let_it_go_on():
    threading._register_atexit(go_on.set)  # it is called before others that were registered

if __name__ == "__main__":
    go_on.set()
    child = forkful.get_context("spawn").Process(target=let_it_go_on)
    child.start()
    child.join()
"""
    )
    done = run([sys.executable, str(program)])
    assert (done.stdout, done.stderr) == ("written\nwritten\n", "")
