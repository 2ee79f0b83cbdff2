"""The standard package, where a program has that beside ours: what of it our children get and do.

Standard queues and connections let themselves be pickled only while a child is known to be started.
The executor of concurrent.futures does so with its own where it is given a context of ours.
"""

from __future__ import annotations

import sys

from forkful._child import ending

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["APART", "aside", "begin_child", "end_child", "reducers", "set_spawning_popen"]

# What install() has taken out of sys.modules, by its name there.
aside: dict[str, Any] = {}
# What the standard package is called meanwhile, so that it finds its own modules.
APART = "_standard_multiprocessing"


def _module(name: str, sign: str) -> Any:
    """A module of the standard package, if anybody has imported it.

    Args:
        sign: A name that it has. Another stand-in may have put something else in its place.
    """
    module = sys.modules.get(name)
    if getattr(module, "__name__", None) != name:
        module = aside.get(name) or sys.modules.get(APART + name.removeprefix("multiprocessing"))
    return module if hasattr(module, sign) else None


def set_spawning_popen(popen: Any) -> None:
    """Say to the standard package, too, which child this thread is starting."""
    context = _module("multiprocessing.context", "set_spawning_popen")
    if context is not None:
        context.set_spawning_popen(popen)


def reducers() -> list[tuple[type, Callable[[Any], Any]]]:
    """How objects of the standard package are pickled for a child."""
    reduction = _module("multiprocessing.reduction", "ForkingPickler")
    known = getattr(getattr(reduction, "ForkingPickler", None), "_extra_reducers", {})
    return [
        (kind, reduce)
        for kind, reduce in list(known.items())
        if kind.__module__.startswith("multiprocessing.")
    ]


def begin_child() -> None:
    """In a child of a fork: the children, finalizers and threads of its parent are not its own.

    A standard queue writes by a thread, which the child has not; it has to make another one.
    """
    util = _module("multiprocessing.util", "_run_after_forkers")
    if util is None:
        return
    util.process._children = set()  # the end would ask for them, and end those that are daemons
    util._finalizer_registry.clear()
    util._run_after_forkers()


def end_child() -> None:
    """At a child's end: wait until its standard queues are written, run finalizers, join children.

    What that raises is printed: the exit code tells of the child's function, which has ended.
    """
    util = _module("multiprocessing.util", "_exit_function")
    if util is None:
        return
    try:
        util._exit_function()
    except Exception as error:
        from forkful._handlers import is_from_handler

        if is_from_handler(error):
            raise
        ending.print_error()
