"""What of the standard package is handed to a child of ours that is no copy of its parent.

Standard queues and connections let themselves be pickled only while a child is known to be started.
The executor of concurrent.futures does so with its own where it is given a context of ours.
"""

from __future__ import annotations

from forkful._child.ending import standard_module

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["reducers", "set_spawning_popen"]


def set_spawning_popen(popen: Any) -> None:
    """Say to the standard package, too, which child this thread is starting."""
    context = standard_module("context", "set_spawning_popen")
    if context is not None:
        context.set_spawning_popen(popen)


def reducers() -> list[tuple[type, Callable[[Any], Any]]]:
    """How objects of the standard package are pickled for a child."""
    reduction = standard_module("reduction", "ForkingPickler")
    known = getattr(getattr(reduction, "ForkingPickler", None), "_extra_reducers", {})
    return [
        (kind, reduce)
        for kind, reduce in list(known.items())
        if kind.__module__.startswith("multiprocessing.")
    ]
