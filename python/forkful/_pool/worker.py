"""What a pool's worker does: its initializer, its tasks, and its end."""

from __future__ import annotations

import os
import sys
from _collections_abc import Callable

from forkful import _core, _log, process
from forkful._child import ending
from forkful._pool.results import encode_error, traceback_text

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful._child.untold import Untold

__all__ = ["work"]


def _initialize(
    initializer: Callable[..., object], initargs: tuple[Any, ...], untold: Untold
) -> None:
    """Call a pool's initializer. What it raises is printed once, however many workers it ends.

    Args:
        untold: What it raises, for all workers.
    """
    worker = os.getpid()
    try:
        initializer(*initargs)
    except Exception as error:
        if os.getpid() != worker:
            raise
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        name = process.current_process().name
        told = f"Process {name}, in the pool's initializer (the first failure is shown):\n"
        told += traceback_text(error, trace)
        untold.say(lambda: sys.stderr.write(told))
        raise SystemExit(1) from None
    untold.renew()


def work(
    pool: _core.PoolHandle,
    index: int,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    untold: Untold | None,
    maxtasks: int | None,
) -> None:
    """A worker's life."""
    worker = os.getpid()

    def life() -> None:
        if initializer is not None and untold is not None:
            _initialize(initializer, initargs, untold)
        if os.getpid() != worker:
            return
        done = _core.run_worker(pool, index, maxtasks or 0, encode_error)
        if os.getpid() == worker:
            if maxtasks is None or done < maxtasks:
                _log.debug("worker got sentinel -- exiting")
            _log.debug("worker exiting after %d tasks", done)

    ending.live_as_worker(life)
