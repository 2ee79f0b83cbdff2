"""Process-based parallelism: a drop-in for multiprocessing on shared memory.

    import forkful as multiprocessing

or, for a program that is not touched at all: forkful run script.py

A family is a process and all that it starts, and they start: these share memory, so a queue, a lock
or a value of one is good in all of them, and in no other. All times are in seconds. help() of Pool,
Queue, Process, Lock, Value and Event says what a call that fails has done.
"""

import sys as _sys

from forkful import context as _context
from forkful import process as _process
from forkful._core import __version__ as __version__
from forkful._errors import (
    AuthenticationError,
    BrokenProcessPool,
    BufferTooShort,
    LayoutMismatch,
    LockOwnerDied,
    PoolTerminated,
    ProcessError,
    ShutDown,
    TimeoutError,
    WorkerDied,
)

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    # What __getattr__() gives, by name.
    from forkful import connection as connection
    from forkful import dummy as dummy
    from forkful import forkserver as forkserver
    from forkful import heap as heap
    from forkful import managers as managers
    from forkful import pool as pool
    from forkful import popen_fork as popen_fork
    from forkful import popen_forkserver as popen_forkserver
    from forkful import popen_spawn_posix as popen_spawn_posix
    from forkful import queues as queues
    from forkful import reduction as reducer
    from forkful import reduction as reduction
    from forkful import resource_sharer as resource_sharer
    from forkful import resource_tracker as resource_tracker
    from forkful import shared_memory as shared_memory
    from forkful import sharedctypes as sharedctypes
    from forkful import spawn as spawn
    from forkful import synchronize as synchronize
    from forkful import util as util
    from forkful._run.install import install, status, uninstall
    from forkful._run.notebook import load_ipython_extension as load_ipython_extension
    from forkful._run.notebook import unload_ipython_extension as unload_ipython_extension
    from forkful.futures import ProcessPoolExecutor

    # For annotations, `def work(jobs: forkful.Queue[str])`, as checkers have it of multiprocessing.
    from forkful.queues import JoinableQueue, Queue, SimpleQueue

_default = _context.default_context

if not TYPE_CHECKING:
    JoinableQueue = _default.JoinableQueue
    Queue = _default.Queue
    SimpleQueue = _default.SimpleQueue

Process = _context.Process

active_children = _default.active_children
allow_connection_pickling = _default.allow_connection_pickling
Array = _default.Array
Barrier = _default.Barrier
BoundedSemaphore = _default.BoundedSemaphore
Condition = _default.Condition
cpu_count = _default.cpu_count
current_process = _default.current_process
Event = _default.Event
freeze_support = _default.freeze_support
get_all_start_methods = _default.get_all_start_methods
get_context = _default.get_context
get_logger = _default.get_logger
get_start_method = _default.get_start_method
Lock = _default.Lock
log_to_stderr = _default.log_to_stderr
Manager = _default.Manager
parent_process = _default.parent_process
Pipe = _default.Pipe
Pool = _default.Pool
RawArray = _default.RawArray
RawValue = _default.RawValue
RLock = _default.RLock
Semaphore = _default.Semaphore
set_executable = _default.set_executable
set_forkserver_preload = _default.set_forkserver_preload
set_start_method = _default.set_start_method
Value = _default.Value

# A child that runs the main module once more does so under this name, which then stands in what it
# sends of the module's classes and functions.
if "__main__" in _sys.modules:
    _sys.modules["__mp_main__"] = _sys.modules["__main__"]

SUBDEBUG = 5
SUBWARNING = 25

process = _process
context = _context


# Names whose modules most programs do not use.
_LATE = {
    "ProcessPoolExecutor": "forkful.futures",
    "install": "forkful._run.install",
    "load_ipython_extension": "forkful._run.notebook",
    "pytest_plugins": "forkful._run",
    "status": "forkful._run.install",
    "uninstall": "forkful._run.install",
    "unload_ipython_extension": "forkful._run.notebook",
}


if not TYPE_CHECKING:  # it would hide misspelt names from checkers

    def __getattr__(name: str) -> object:
        if name in _LATE:
            return getattr(__import__(_LATE[name], fromlist=(name,)), name)
        if name == "reducer":
            return _default.reducer
        from forkful._modules import MIRRORED

        # Of multiprocessing, many are there as soon as a process or a lock was made.
        if name in MIRRORED and not name.endswith("_win32"):
            return __import__(f"forkful.{name}", fromlist=(name,))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


del TYPE_CHECKING


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BrokenProcessPool",
    "BufferTooShort",
    "Condition",
    "Event",
    "JoinableQueue",
    "LayoutMismatch",
    "Lock",
    "LockOwnerDied",
    "Manager",
    "Pipe",
    "Pool",
    "PoolTerminated",
    "Process",
    "ProcessError",
    "ProcessPoolExecutor",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "ShutDown",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "WorkerDied",
    "active_children",
    "allow_connection_pickling",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "install",
    "log_to_stderr",
    "parent_process",
    "reducer",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
    "status",
    "uninstall",
]
