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

__all__ = ["work"]


def _initialize(
    initializer: Callable[..., object], initargs: tuple[Any, ...], untold: _core.Semaphore
) -> None:
    """Call a pool's initializer. What it raises is printed once, however many workers it ends.

    Args:
        untold: A permit to print.
    """
    worker = os.getpid()
    try:
        initializer(*initargs)
    except Exception as error:
        if os.getpid() != worker:
            raise
        if untold.acquire(False):
            trace = error.__traceback__.tb_next if error.__traceback__ else None
            text = traceback_text(error, trace)
            name = process.current_process().name
            sys.stderr.write(
                f"Process {name}, in the pool's initializer (the first failure is shown):\n{text}"
            )
        raise SystemExit(1) from None
    if untold.get_value() == 0:
        untold.release()  # what fails after this is another failure


def work(
    pool: _core.PoolHandle,
    index: int,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    untold: _core.Semaphore | None,
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
