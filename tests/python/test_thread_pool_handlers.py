"""What the handler of a signal raises in the middle of a call of a pool of threads."""

from __future__ import annotations

import os
import signal
import time

import forkful
import pytest
from forkful.pool import ThreadPool

PACKAGE = os.path.dirname(forkful.__file__)


class Interrupted(Exception):
    pass


def interrupt(number, frame):
    if frame.f_code.co_filename.startswith(PACKAGE):
        raise Interrupted


@pytest.fixture
def interrupted():
    """From when it is called: each millisecond an exception, if this thread is in the package."""
    before = signal.signal(signal.SIGALRM, interrupt)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def consume(results):
    """What they give, and how often an exception came instead."""
    got, errors = [], 0
    while True:
        try:
            got.append(next(results))
        except StopIteration:
            return got, errors
        except Interrupted:
            errors += 1


@pytest.mark.parametrize("kind", ["imap", "imap_unordered"])
@pytest.mark.parametrize("source", [range, lambda count: iter(range(count))])
def test_an_interrupted_next_costs_one_result_at_most(kind, source, interrupted):
    pool = ThreadPool(2)
    interrupted()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            results = getattr(pool, kind)(abs, source(2000))
        except Interrupted:
            continue
        got, errors = consume(results)
        assert len(got) >= 2000 - errors
        assert len(set(got)) == len(got)
        if kind == "imap":
            assert got == sorted(got)
    signal.setitimer(signal.ITIMER_REAL, 0)
    pool.close()
    pool.join()


def test_a_pool_whose_calls_were_interrupted_goes_on_and_ends(interrupted):
    pool = ThreadPool(2)
    interrupted()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        try:
            assert pool.map(abs, range(300), 3) == list(range(300))
            assert pool.apply(abs, (-1,)) == 1
        except Interrupted:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert pool.map(abs, range(100)) == list(range(100))
    pool.close()
    pool.join()
