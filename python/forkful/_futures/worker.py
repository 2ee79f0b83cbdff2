"""What an executor's worker does: its initializer, its tasks, and its end."""

from __future__ import annotations

import os
from collections.abc import Callable

from forkful import _core
from forkful._child import ending
from forkful._futures.remote import encode_error

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

    from forkful._child.untold import Untold

__all__ = ["work"]


def work(
    pool: _core.PoolHandle,
    slot: int,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    untold: Untold | None,
    most_tasks: int | None,
) -> None:
    """A worker's life.

    Args:
        untold: What the initializer raises, for all workers.
        most_tasks: After so many it leaves, and is replaced.
    """
    worker = os.getpid()

    def life() -> None:
        if initializer is not None:
            _initialize(initializer, initargs, untold, worker)
        if os.getpid() == worker:
            _core.run_worker(pool, slot, most_tasks or 0, encode_error)

    ending.live_as_worker(life)


def _initialize(
    initializer: Callable[..., object],
    initargs: tuple[Any, ...],
    untold: Untold | None,
    worker: int,
) -> None:
    try:
        initializer(*initargs)
    except Exception:
        if os.getpid() != worker:
            raise
        from concurrent.futures import _base

        def log() -> None:
            _base.LOGGER.critical("Exception in initializer:", exc_info=True)

        untold.say(log) if untold is not None else log()
        raise SystemExit(1) from None
