"""Shared memory with a name in the system, for processes of any family and of any program.

    memory = SharedMemory(create=True, size=1_000_000)     # one process
    memory = SharedMemory(name)                            # another one, told of memory.name

A segment stays until somebody calls unlink(). Where nobody does, it is removed when the family that
made it is gone, however that went, and a line on stderr says so. (A family is a process and all
that it starts.) What other families attach they leave alone.
"""

from __future__ import annotations

import errno
import functools
import mmap
import os
import sys
import types

from forkful import resource_tracker
from forkful._memory import names
from forkful._memory.list import ValueList
from forkful._memory.names import shm_open, shm_unlink

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from forkful._memory.list import Value

__all__ = ["ShareableList", "SharedMemory"]

_USE_POSIX = True
_O_CREX = os.O_CREAT | os.O_EXCL
_SHM_SAFE_NAME_LENGTH = 14  # what every system takes
_SHM_NAME_PREFIX = "/psm_"

# It has the two functions of that module, too.
_posixshmem = sys.modules[__name__]


def _make_filename() -> str:
    """A name that nobody has, most likely."""
    return _SHM_NAME_PREFIX + os.urandom((_SHM_SAFE_NAME_LENGTH - len(_SHM_NAME_PREFIX)) // 2).hex()


def _check_types(name: object, size: object, create: bool) -> None:
    if not (name is None or isinstance(name, str)):
        raise TypeError(f"the name of a SharedMemory must be a str or None, not {name!r}")
    # A size that is not used may be a float, as with multiprocessing.
    if not (hasattr(size, "__index__") or (isinstance(size, float) and not create)):
        raise TypeError(
            f"the size of a SharedMemory must be an integer, its bytes, not {size!r}: int() makes "
            "one of it"
        )


class SharedMemory:
    """Memory that has a name, made or attached.

    Pickled, it is attached by its name where it is unpickled.

    Args:
        name: Without a slash. None: one that nobody has.
        create: Make it; otherwise it is there already.
        size: How many bytes to make. Otherwise what there is counts.
        track: Whether it is removed with this process's family, if nobody has unlinked it before.
            None: if the family makes it. True: also if it was only attached, as multiprocessing
            does. False: in no case, whoever unlinks it.
    Raises:
        TypeError: name is no str, or size is no integer.
        ValueError: size is not positive, or no name is given for one that is there.
        FileExistsError: The name is taken.
        FileNotFoundError: There is none of that name.
        OSError: The name cannot be one, or there is no room.
    """

    _name: str | None = None
    _fd = -1
    _mmap: mmap.mmap | None = None
    _buf: memoryview | None = None
    _flags = os.O_RDWR
    _mode = names.MODE
    _prepend_leading_slash = True
    _track: bool | None = None
    _size = 0
    # Why here: what dies last at the interpreter's end finds this module's globals gone.
    _close_fd = staticmethod(os.close)

    def __init__(
        self,
        name: str | None = None,
        create: bool = False,
        size: int = 0,
        *,
        track: bool | None = None,
    ) -> None:
        _check_types(name, size, create)
        if size < 0:
            raise ValueError(f"'size' must be a positive integer, not {size!r}")
        if create:
            if size == 0:
                raise ValueError("'size' must be a positive number different from zero")
            self._flags = _O_CREX | os.O_RDWR
        elif name is None and not self._flags & os.O_EXCL:
            raise ValueError("'name' can only be None if create=True: which memory shall it be?")
        self._track = track
        try:
            if create:
                self._create(name, size)
            else:
                self._attach(name if name is not None else _make_filename(), size)
        except BaseException:
            self.close()
            raise

    def _create(self, name: str | None, size: int) -> None:
        _warn_of_little_room(size)
        fd = names.make_unnamed(size, self._mode)
        if fd is not None:
            self._fd = fd
        while True:
            self._name = _make_filename() if name is None else self._with_slash(name)
            try:
                if fd is None:
                    self._create_named(self._name, size)
                else:
                    self._map(size)
                    self._give_name(self._name)
                return
            except FileExistsError:
                if name is not None:
                    raise
            except FileNotFoundError:
                if fd is None:
                    raise
                fd = None  # it can be made with its name only
                self.close()

    def _give_name(self, name: str) -> None:
        # Tracked before it can be seen: whoever is killed in between leaves nothing. The tracker
        # knows it by its identity, and takes no other memory that has the name.
        if self._track is False:
            names.link(self._fd, name)
            return
        resource_tracker._register_made(name, self._fd)
        try:
            names.link(self._fd, name)
        except BaseException:
            resource_tracker._unregister_made(name, self._fd)
            raise

    def _create_named(self, name: str, size: int) -> None:
        self._fd = shm_open(name, self._flags, self._mode)
        try:
            os.ftruncate(self._fd, size)
            self._map(size)
            if self._track is not False:
                resource_tracker._register_made(name, self._fd)
        except BaseException:
            shm_unlink(name)
            raise

    def _attach(self, name: str, size: int) -> None:
        self._name = self._with_slash(name)
        self._fd = shm_open(self._name, self._flags, self._mode)
        # A subclass may have flags by which it is made here.
        if self._flags & os.O_CREAT and size and os.fstat(self._fd).st_size == 0:
            os.ftruncate(self._fd, size)
        self._map(names.wait_for_size(self._fd))
        if self._track:
            resource_tracker.register(self._name, "shared_memory")

    def _with_slash(self, name: str) -> str:
        return f"/{name}" if self._prepend_leading_slash else name

    def _map(self, size: int) -> None:
        if self._mmap is None:
            mapping = mmap.mmap(self._fd, size)
            self._mmap, self._size, self._buf = mapping, size, memoryview(mapping)

    def __del__(self) -> None:
        try:
            self.close()
        except (OSError, BufferError):
            pass  # the memory stays mapped as long as an array, say, uses it

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, (self.name, False, self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, size={self.size})"

    @property
    def buf(self) -> memoryview:
        """The bytes; None after close()."""
        return self._buf  # type: ignore[return-value]

    @property
    def name(self) -> str:
        """The name by which any process can attach it."""
        reported = self._name or ""
        return reported[1:] if self._prepend_leading_slash and reported[:1] == "/" else reported

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._size

    def close(self) -> None:
        """Give back this process's access; the memory and its name stay.

        Raises:
            BufferError: Something made of buf, a slice or an array, still uses the memory.
        """
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._close_fd(fd)
        buffer, mapping = self._buf, self._mmap
        if buffer is not None:
            buffer.release()
        if mapping is not None:
            mapping.close()
        self._buf = self._mmap = None

    def unlink(self) -> None:
        """Take the name away, once for all processes; the memory goes when none uses it any more.

        Raises:
            FileNotFoundError: Somebody has done so.
        """
        if self._name:
            shm_unlink(self._name)
            if self._track is not False:
                resource_tracker.unregister(self._name, "shared_memory")


class ShareableList(ValueList):
    """A list of int, float, bool, str, bytes and None whose length stays; any process may write.

    Each item can be replaced, by a value of another kind, too; a str or bytes by one that fits into
    the first one's room, which is rounded up to 8 bytes. Zeros at the end of a str or bytes are not
    kept. There is no lock in it: where several processes write the same item, take one of your own.

    Args:
        sequence: The values; None: attach one that is there.
        name: Of its memory, `shm`.
    Raises:
        KeyError: A value is of none of these types.
        FileNotFoundError, FileExistsError, OSError: As for SharedMemory.
    """

    shm: SharedMemory

    def __init__(self, sequence: Iterable[Value] | None = None, *, name: str | None = None) -> None:
        if sequence is None and name is not None:
            self._attach(SharedMemory(name))
            return
        values, size = self._plan([] if sequence is None else sequence)
        memory = SharedMemory(name, create=True, size=size)
        try:
            self._fill(memory, values)
        except BaseException:
            memory.close()
            memory.unlink()
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(self.__class__, name=self.shm.name), ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)}, name={self.shm.name!r})"

    __class_getitem__: Any = classmethod(types.GenericAlias)


def _warn_of_little_room(size: int) -> None:
    # What is made may be larger than what there is, since its pages are taken when they are
    # written first; and where there is none then, the kernel kills the writer.
    try:
        room = os.statvfs(names.FOLDER)
    except OSError:
        return
    free = room.f_bavail * room.f_frsize
    if size <= free or room.f_blocks == 0:
        return
    import warnings

    warnings.warn(
        f"shared memory of {size:,} bytes was asked for, and {names.FOLDER} has {free:,} left: "
        f"writing more than that will end the process by SIGBUS "
        f"({errno.errorcode[errno.ENOSPC]}); in a container, --shm-size sets how much there is",
        RuntimeWarning,
        stacklevel=4,
    )
