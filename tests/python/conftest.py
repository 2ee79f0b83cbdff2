"""Fixtures of the Python tests: no test leaves a process, a descriptor or a shared file behind."""

from __future__ import annotations

import gc
import os
import random
import signal
import warnings
from collections.abc import Iterator

import forkful
import pytest
from forkful import forkserver, resource_tracker
from forkful.context import BaseContext
from helpers import (
    children_of,
    eventually,
    files_left,
    open_descriptors,
    shared_memory_files,
)

_LIMIT_SECONDS = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed", type=int, default=None, help="of the random kills; printed otherwise"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LIMIT_SECONDS))


def pytest_collection_finish() -> None:
    # Each test collects garbage twice: without what pytest knows of all tests that is cheap.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", params=forkful.get_all_start_methods())
def context(request: pytest.FixtureRequest) -> BaseContext:
    """The context of each start method that there is: the test is run under one after the other.

    Its body passes functions that can be found by name, and takes from the context what it makes.
    """
    return forkful.get_context(request.param)


@pytest.fixture
def seeded(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers whose seed a failing test shows."""
    seed = request.config.getoption("--seed")
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"run again with --seed {seed}")
    return random.Random(seed)


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_the_suite() -> Iterator[None]:
    files = shared_memory_files()
    # A shell ignores Ctrl-C for what it runs in the background, and programs inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    forkful.Event()  # the family and its descriptors
    resource_tracker.ensure_running()  # a child that stays, as long as there may be shared memory
    yield
    gc.collect()
    resource_tracker._resource_tracker._stop()
    forkserver._forkserver._stop()
    assert not children_of(os.getpid()), "processes were left behind"
    assert not files_left(files), "files were left in /dev/shm"


@pytest.fixture(autouse=True)
def no_process_stays_behind() -> Iterator[None]:
    # What an earlier test's failure keeps is not this one's.
    before = set(children_of(os.getpid()))
    yield
    gc.collect()

    def new_children() -> set[int]:
        forkful.active_children()  # joins those that have ended
        server = forkserver._forkserver._forkserver_pid  # one for all tests that need it
        return set(children_of(os.getpid())) - before - {server}

    assert eventually(lambda: not new_children()), f"still there: {forkful.active_children()}"


@pytest.fixture
def no_descriptor_stays_behind() -> Iterator[None]:
    # The first child makes the family's lifeline, which stays.
    child = forkful.Process()
    with warnings.catch_warnings():
        # A thread of an earlier test's pool may be about to end.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    child.join()
    child.close()
    gc.collect()
    before = open_descriptors()
    yield
    gc.collect()
    forkful.active_children()
    assert eventually(lambda: len(open_descriptors()) <= len(before)), (before, open_descriptors())
