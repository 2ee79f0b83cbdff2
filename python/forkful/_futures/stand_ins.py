"""What programs reach for that concurrent.futures has inside, and this executor has otherwise."""

from __future__ import annotations

import weakref
from collections.abc import Callable

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["EXTRA_QUEUED_CALLS", "CallQueue", "CallItem", "ResultItem", "WorkItem"]

# There is no second queue, into which calls are moved ahead of the workers.
EXTRA_QUEUED_CALLS = 1


class WorkItem:
    """A call that has no result yet."""

    def __init__(self, future: Any, fn: Callable[..., Any] | None, args: Any, kwargs: Any) -> None:
        self.future = future
        self.fn = fn
        self.args = args
        self.kwargs = kwargs


class ResultItem:
    """A result on its way."""

    def __init__(
        self,
        work_id: int,
        exception: BaseException | None = None,
        result: Any = None,
        exit_pid: int | None = None,
    ) -> None:
        self.work_id = work_id
        self.exception = exception
        self.result = result
        self.exit_pid = exit_pid


class CallItem:
    """A call on its way."""

    def __init__(self, work_id: int, fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.work_id = work_id
        self.fn = fn
        self.args = args
        self.kwargs = kwargs


class CallQueue:
    """The calls that no worker has begun: the pool's ring, which has no thread that feeds it."""

    def __init__(self, executor: Any) -> None:
        self._executor = weakref.ref(executor)

    def qsize(self) -> int:
        executor = self._executor()
        core = executor._client if executor is not None else None
        return core.waiting_tasks if core is not None else 0

    def empty(self) -> bool:
        return self.qsize() == 0

    def close(self) -> None:
        """Nothing to do: shutdown() closes it."""

    def join_thread(self) -> None:
        """There is no thread to join."""

    def cancel_join_thread(self) -> None:
        """There is no thread to join."""


for _each in (CallItem, ResultItem, WorkItem):
    _each.__name__ = _each.__qualname__ = f"_{_each.__name__}"
    _each.__module__ = "forkful.futures"
