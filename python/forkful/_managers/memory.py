"""SharedMemoryManager: blocks of shared memory that go when the manager shuts down."""

from __future__ import annotations

import os

from forkful import _log
from forkful._managers.base import BaseManager
from forkful._managers.messages import State, dispatch
from forkful._managers.server import Server

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

    from forkful import shared_memory

__all__ = ["SharedMemoryManager", "SharedMemoryServer"]


def _shared_memory() -> Any:
    from forkful import shared_memory

    return shared_memory


class _Segments:
    """The blocks that a server unlinks at its end."""

    def __init__(self, name: str, names: Iterable[str] = ()) -> None:
        self.shared_memory_context_name = name
        self.segment_names = list(names)

    def register_segment(self, segment_name: str) -> None:
        """Note a block."""
        _log.debug("Register segment %r in pid %d", segment_name, os.getpid())
        self.segment_names.append(segment_name)

    def destroy_segment(self, segment_name: str) -> None:
        """Unlink a block.

        Raises:
            ValueError: It is none of ours.
            FileNotFoundError: Somebody else has unlinked it.
        """
        _log.debug("Destroy segment %r in pid %d", segment_name, os.getpid())
        self.segment_names.remove(segment_name)
        segment = _shared_memory().SharedMemory(segment_name)
        segment.close()
        segment.unlink()

    def unlink(self) -> None:
        """Unlink all blocks; one that is gone already does not keep the others."""
        for name in list(self.segment_names):
            try:
                self.destroy_segment(name)
            except FileNotFoundError:
                pass

    def __getstate__(self) -> tuple[str, list[str]]:
        return self.shared_memory_context_name, self.segment_names

    def __setstate__(self, state: tuple[str, list[str]]) -> None:
        self.shared_memory_context_name, self.segment_names = state


class SharedMemoryServer(Server):
    """A Server that knows blocks of shared memory, and unlinks them when it shuts down.

    Raises: As Server.
    """

    public = [*Server.public, "track_segment", "release_segment", "list_segments"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shared_memory_context = _Segments(
            f"shm_{os.fsdecode(self.address) if isinstance(self.address, bytes) else self.address}"
            f"_{os.getpid()}"
        )
        _log.debug("SharedMemoryServer started by pid %d", os.getpid())

    def serve_forever(self) -> NoReturn:
        """As Server.serve_forever(); the blocks are unlinked however that ends.

        Raises: As that.
        """
        try:
            super().serve_forever()
        finally:
            self.shared_memory_context.unlink()

    def create(self, c: Any, typeid: str, /, *args: Any, **kwargs: Any) -> Any:
        """As Server.create(); a type whose proxy asks for it is given the server's blocks.

        Raises: As that.
        """
        *_, proxytype = self.registry[typeid]
        if hasattr(proxytype, "_shared_memory_proxy"):
            kwargs["shared_memory_context"] = self.shared_memory_context
        return super().create(c, typeid, *args, **kwargs)

    def shutdown(self, c: Any) -> object:
        """Unlink the blocks, and stop serving."""
        try:
            self.shared_memory_context.unlink()
        finally:
            answered = super().shutdown(c)
        return answered

    def list_segments(self, c: Any) -> list[str]:
        """The names of the blocks."""
        return list(self.shared_memory_context.segment_names)

    def track_segment(self, c: Any, segment_name: str) -> None:
        """Note a block."""
        self.shared_memory_context.register_segment(segment_name)

    def release_segment(self, c: Any, segment_name: str) -> None:
        """Unlink a block.

        Raises:
            ValueError: It is none of the manager's.
            FileNotFoundError: Somebody else has unlinked it.
        """
        self.shared_memory_context.destroy_segment(segment_name)


class SharedMemoryManager(BaseManager):
    """A manager that makes blocks of shared memory, and unlinks them when it shuts down.

        with SharedMemoryManager() as manager:
            block = manager.SharedMemory(size=1000)

    Args: As BaseManager.
    Raises: As BaseManager.
    """

    _Server = SharedMemoryServer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _log.debug("%s created by pid %d", type(self).__name__, os.getpid())

    def SharedMemory(self, size: int) -> shared_memory.SharedMemory:
        """A new block of shared memory, of at least `size` bytes.

        Raises:
            ValueError: The manager is not started, or size is not positive.
            OSError: There is no memory, or the server is gone.
        """
        made: shared_memory.SharedMemory = self._tracked(
            lambda: _shared_memory().SharedMemory(create=True, size=size)
        )
        return made

    def ShareableList(self, sequence: Iterable[Any]) -> shared_memory.ShareableList:
        """A new list of fixed length in shared memory.

        Raises:
            ValueError: The manager is not started.
            OSError: There is no memory, or the server is gone.
        """
        made: shared_memory.ShareableList = self._tracked(
            lambda: _shared_memory().ShareableList(sequence)
        )
        return made

    def _tracked(self, make: Any) -> Any:
        """What `make` makes; where the server cannot be told of it, it is unlinked."""
        if self._state.value != State.STARTED:
            raise ValueError(f"{type(self).__name__} has no server: call start() first")
        with self._Client(self._address, authkey=self._authkey) as conn:
            made = make()
            memory = getattr(made, "shm", made)
            try:
                dispatch(conn, None, "track_segment", (memory.name,))
            except BaseException:
                memory.close()
                memory.unlink()
                raise
        return made
