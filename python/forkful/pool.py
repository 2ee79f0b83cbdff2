"""Pool: workers that pull tasks from one shared ring; ThreadPool: the same on threads.

    map(), apply_async() … ─► ring of tasks ─► workers ─► ring of results ─► whoever waits

The thread that waits for a result collects it, and looks after the workers meanwhile. While nobody
waits and there is work, the pool's attendant does both: a thread that begins with the first
asynchronous call. Callbacks run in a second one, and may wait for whatever the pool does. A worker
that dies loses the item it was running, which raises WorkerDied, and is replaced. All of it is in
_pool/; this file has the names.
"""

from __future__ import annotations

from forkful._pool.processes import CLOSE, INIT, RUN, TERMINATE, Pool
from forkful._pool.results import (
    ApplyResult,
    AsyncResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    MaybeEncodingError,
    RemoteTraceback,
)

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from forkful._pool.standard import ExceptionWithTraceback as ExceptionWithTraceback
    from forkful._pool.standard import TimeoutError as TimeoutError
    from forkful._pool.standard import job_counter as job_counter
    from forkful._pool.standard import mapstar as mapstar
    from forkful._pool.standard import rebuild_exc as rebuild_exc
    from forkful._pool.standard import starmapstar as starmapstar
    from forkful._pool.standard import worker as worker
    from forkful._pool.threads import ThreadPool

__all__ = [
    "CLOSE",
    "INIT",
    "RUN",
    "TERMINATE",
    "ApplyResult",
    "AsyncResult",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "Pool",
    "RemoteTraceback",
    "ThreadPool",
]

# Names that most programs do not use, by the part that has them, and what they are called there.
_LATE = {
    "ExceptionWithTraceback": "standard",
    "ThreadPool": "threads",
    "TimeoutError": "standard",
    "_helper_reraises_exception": "standard",
    "job_counter": "standard",
    "mapstar": "standard",
    "rebuild_exc": "standard",
    "starmapstar": "standard",
    "worker": "standard",
}


if not TYPE_CHECKING:  # it would hide misspelt names from checkers

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        part = __import__(f"forkful._pool.{_LATE[name]}", fromlist=(name,))
        value = getattr(part, name.removeprefix("_"))
        globals()[name] = value  # so a program can put its own there, and take it back
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
