"""The package's types: mypy --strict is asked about typed_program.py by `make lint`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import forkful
import pytest
from forkful import context, pool, queues, sharedctypes, synchronize
from helpers import run


def test_the_typed_program_runs():
    done = run([sys.executable, "-W", "error", str(Path(__file__).with_name("typed_program.py"))])
    assert (done.returncode, done.stdout, done.stderr) == (0, "typed\n", "")


MADE = {
    "Array": sharedctypes.Array,
    "BoundedSemaphore": synchronize.BoundedSemaphore,
    "Event": synchronize.Event,
    "Lock": synchronize.Lock,
    "Pool": pool.Pool,
    "Queue": queues.Queue,
    "RLock": synchronize.RLock,
    "RawArray": sharedctypes.RawArray,
    "RawValue": sharedctypes.RawValue,
    "Semaphore": synchronize.Semaphore,
    "SimpleQueue": queues.SimpleQueue,
    "Value": sharedctypes.Value,
}


@pytest.mark.parametrize("name", MADE)
def test_a_factory_takes_what_it_hands_on(name):
    def arguments(function: object) -> list[tuple[str, object, object]]:
        return [
            (each.name, each.kind, each.default)
            for each in inspect.signature(function).parameters.values()
            if each.name not in ("ctx", "context")
        ]

    assert arguments(getattr(forkful, name)) == arguments(MADE[name])


@pytest.mark.parametrize("name", MADE)
def test_a_factory_makes_what_its_annotation_says(name):
    factory = inspect.getattr_static(context.BaseContext, name)
    arguments = {"Value": ("i",), "RawValue": ("i",), "Array": ("i", 1), "RawArray": ("i", 1)}
    made = getattr(forkful, name)(*arguments.get(name, ()))
    if inspect.isclass(MADE[name]):
        assert type(made) is MADE[name]
        assert str(factory.__annotations__["return"]).partition("[")[0].endswith("." + name)
    if name == "Pool":
        made.terminate()
        made.join()


def test_a_factory_knows_its_context_by_itself():
    with pytest.raises(TypeError, match="unexpected keyword argument 'ctx'"):
        forkful.Queue(ctx=forkful.get_context())
