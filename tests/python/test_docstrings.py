"""Every public callable says what it does, and what it raises where it can fail."""

from __future__ import annotations

import importlib
import inspect
import pickle

import forkful
import forkful.dummy
import pytest
from forkful._modules import MIRRORED, OURS

# These do not fail, whatever they are called with that their signature allows.
CANNOT_FAIL = {
    "Barrier.abort",
    "Barrier.reset",
    "BaseContext.active_children",
    "BaseContext.allow_connection_pickling",
    "BaseContext.cpu_count",
    "BaseContext.current_process",
    "BaseContext.freeze_support",
    "BaseContext.get_logger",
    "BaseContext.get_start_method",
    "BaseContext.parent_process",
    "BaseContext.set_executable",
    "BoundedSemaphore.get_value",
    "DefaultContext.get_all_start_methods",
    "Event.clear",
    "Event.is_set",
    "Event.set",
    "Finalize.cancel",
    "Finalize.still_active",
    "ForkingPickler.register",
    "Pool.close",
    "Pool.terminate",
    "ProcessPoolExecutor.shutdown",
    "Queue.cancel_join_thread",
    "Queue.close",
    "Queue.full",
    "Queue.qsize",
    "Queue.shutdown",
    "Semaphore.get_value",
    "Job.ready",
    "JoinableQueue.close",
    "JoinableQueue.full",
    "JoinableQueue.join",
    "JoinableQueue.qsize",
    "JoinableQueue.shutdown",
    "Lock.locked",
    "Lock.recover",
    "RLock.locked",
    "RLock.recover",
    "SemLock.locked",
    "SimpleQueue.close",
    "SynchronizedBase.get_lock",
    "SynchronizedBase.get_obj",
    "ValueList.count",
    "active_children",
    "allow_connection_pickling",
    "cpu_count",
    "current_process",
    "debug",
    "dummy.Listener.close",
    "ThreadPool.close",
    "ThreadPool.terminate",
    "dummy.Manager",
    "dummy.Pipe",
    "dummy.RLock",
    "dummy.active_children",
    "dummy.current_process",
    "dummy.freeze_support",
    "freeze_support",
    "get_all_start_methods",
    "get_executable",
    "get_inherited_fds",
    "get_logger",
    "get_spawning_popen",
    "get_start_method",
    "info",
    "install",
    "is_exiting",
    "parent_process",
    "register",
    "register_after_fork",
    "set_executable",
    "set_spawning_popen",
    "status",
    "sub_debug",
    "sub_warning",
    "uninstall",
}
# From 3.13 on it is a class, of threading.
if not inspect.isclass(forkful.dummy.Lock):
    CANNOT_FAIL.add("dummy.Lock")
# What only the package itself makes and calls.
OF_OURS = {"Popen"}


def is_placeholder(thing: object) -> bool:
    return str(thing.__doc__).endswith("is not there yet.")


def is_ours(thing: object) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] == "forkful"


def public_callables() -> dict[str, object]:
    """All of them by name: functions, classes, and the methods of these."""
    found: dict[str, object] = {}
    modules = [
        forkful,
        *(importlib.import_module(f"forkful.{name}") for name in sorted(MIRRORED | OURS)),
    ]
    for module in modules:
        # The same names on threads.
        prefix = "dummy." if module.__name__.startswith("forkful.dummy") else ""
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing) or is_placeholder(thing) or name in OF_OURS:
                continue
            if not inspect.isclass(thing):
                found[prefix + name] = thing
            elif is_ours(thing):
                found[prefix + thing.__name__] = thing
                if not issubclass(thing, BaseException):
                    methods = public_methods(thing)
                    found.update({prefix + each: methods[each] for each in methods})
    return found


def public_methods(kind: type) -> dict[str, object]:
    methods: dict[str, object] = {}
    for base in kind.__mro__:
        if not is_ours(base):
            continue
        for name, thing in vars(base).items():
            plain = getattr(thing, "__func__", thing)
            if name.startswith("_") or not callable(plain) or inspect.isclass(plain):
                continue
            if plain is pickle.loads:
                continue  # ForkingPickler.loads
            if not is_placeholder(plain):
                methods.setdefault(f"{base.__name__}.{name}", plain)
    return methods


CALLABLES = public_callables()
CLASSES_THAT_CANNOT_FAIL = {name for name, thing in CALLABLES.items() if inspect.isclass(thing)} - {
    "Pool",
    "BaseProcess",
    "Queue",
    "SimpleQueue",
    "Lock",
    "RLock",
    "Semaphore",
    "Event",
    "Condition",
    "Barrier",
    "SemLock",
}


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_it_says_what_it_does(name):
    text = inspect.getdoc(CALLABLES[name])
    assert text
    assert text.splitlines()[0].strip()


@pytest.mark.parametrize("name", sorted(set(CALLABLES) - CANNOT_FAIL - CLASSES_THAT_CANNOT_FAIL))
def test_it_says_what_it_raises(name):
    assert "Raises:" in (inspect.getdoc(CALLABLES[name]) or "")


def test_nothing_is_excused_that_is_not_there():
    assert set(CALLABLES) >= CANNOT_FAIL


@pytest.mark.parametrize(
    "name",
    ["Queue.put", "Queue.get", "Lock.acquire", "Event.wait", "BaseProcess.join", "ApplyResult.get"],
)
def test_what_waits_says_in_which_unit(name):
    owner, method = name.split(".")
    assert "seconds" in inspect.getdoc(getattr(CALLABLES[owner], method))
