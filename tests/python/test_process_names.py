"""A process may have any name: its family keeps the beginning, for views."""

from __future__ import annotations

import forkful


def _tell(queue: forkful.Queue) -> None:
    queue.put(forkful.current_process().name)


def test_a_process_of_any_name_starts() -> None:
    for name in ("worker", "", "ünïcødé " * 10, "a\0b", "\udc80", "x" * 500):
        queue = forkful.Queue()
        child = forkful.Process(target=_tell, args=(queue,), name=name)
        child.start()
        assert queue.get(timeout=30) == child.name
        child.join()
        assert child.exitcode == 0
