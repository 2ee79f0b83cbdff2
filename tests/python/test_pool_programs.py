"""Programs that use a pool: Ctrl-C, the owner's death, the interpreter's end."""

from __future__ import annotations

import os
import signal
import time

import pytest
from helpers import await_condition, is_asleep, run_python, runs, start_python

# The warning about a pool that nobody ends is the point of other tests.
POOL = """
    import forkful, signal, sys, warnings
    warnings.simplefilter("ignore", ResourceWarning)
    def stay(*_):
        while True: signal.pause()
    def spin(_):
        while True: pass
    pool = forkful.Pool(2)
    pool.map(abs, range(10))
    print(*(worker.pid for worker in pool._pool), flush=True)
"""


@pytest.mark.parametrize(
    "wait",
    [
        "pool.map(stay, range(4))",
        "pool.apply(stay)",
        "pool.apply_async(stay, callback=print).get()",
        "next(pool.imap(stay, iter([1])))",
        "pool.apply_async(stay); pool.close(); pool.join()",
        "signal.pause()",
    ],
)
def test_ctrl_c_ends_the_program_promptly(wait):
    with start_python(POOL + "    " + wait) as program:
        pids = [int(word) for word in program.stdout.readline().split()]
        await_condition(lambda: all(is_asleep(pid) for pid in (program.pid, *pids)))
        began = time.monotonic()
        os.killpg(program.pid, signal.SIGINT)
        program.wait(10)
        assert time.monotonic() - began < 1
        printed = program.stderr.read()
        # The interrupt may be a worker's, which shows where it came from.
        own = printed.rpartition("direct cause of the following exception:")[2]
        assert own.count("Traceback") <= 1, printed
        assert own.rstrip().endswith("KeyboardInterrupt")
        assert program.returncode == -signal.SIGINT
        await_condition(lambda: not any(runs(pid) for pid in pids), seconds=1)


def test_ctrl_c_that_is_caught_leaves_the_pool_usable():
    program = POOL + (
        "    try: pool.map(stay, [1])\n"
        "    except KeyboardInterrupt: print(pool.map_async(abs, [-5]).get(20), flush=True)\n"
        "    pool.terminate()\n"
    )
    with start_python(program) as process:
        process.stdout.readline()
        await_condition(lambda: is_asleep(process.pid))
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "[5]\n"
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    "wait", ["signal.pause()", "pool.map(stay, range(4))", "pool.map(spin, [1, 2])"]
)
def test_workers_go_within_a_second_of_their_owners_death(wait):
    with start_python(POOL + "    " + wait) as program:
        pids = [int(word) for word in program.stdout.readline().split()]
        program.kill()
        program.wait(10)
        await_condition(lambda: not any(runs(pid) for pid in pids), seconds=1)


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit(0)",
        "pool.apply_async(stay); sys.exit(0)",
        "pool.imap(stay, iter(range(9)))",
    ],
)
def test_a_program_may_end_without_ending_its_pool(end):
    done = run_python(POOL + "    " + end)
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(runs(int(word)) for word in done.stdout.split())


def test_an_error_of_the_program_ends_the_pool_and_shows_one_traceback():
    done = run_python("""
        import forkful, signal
        with forkful.Pool(2) as pool:
            [pool.apply_async(signal.pause) for _ in range(5)]
            raise RuntimeError("the program's")
    """)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("RuntimeError: the program's\n")
