"""What a start of a child needs to be known below: whom this thread starts, and a hook upwards."""

from __future__ import annotations

import _thread

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["force_start_method", "get_spawning_popen", "set_spawning_popen"]

_this_thread = _thread._local()


def get_spawning_popen() -> Any:
    """The child that is being started by this thread, while it is pickled."""
    return getattr(_this_thread, "spawning_popen", None)


def set_spawning_popen(popen: Any) -> None:
    """Say which child this thread is starting."""
    _this_thread.spawning_popen = popen


# Sets the default start method of this process; the module `context`, which has it, sets this.
force_start_method: Callable[[str], object] = str
