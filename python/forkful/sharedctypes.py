"""Value: one number in shared memory."""

from __future__ import annotations

import ctypes

from forkful import _core, later
from forkful.synchronize import RLock

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Array", "RawArray", "RawValue", "Synchronized", "Value", "copy", "synchronized"]

typecode_to_type: dict[str, Any] = {
    "c": ctypes.c_char,
    "u": ctypes.c_wchar,
    "b": ctypes.c_byte,
    "B": ctypes.c_ubyte,
    "h": ctypes.c_short,
    "H": ctypes.c_ushort,
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "q": ctypes.c_longlong,
    "Q": ctypes.c_ulonglong,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}
# Later ones win where two codes name one type; 'q' is 'l' where both have 64 bits.
_type_to_typecode = {kind: code for code, kind in typecode_to_type.items()}


def _typecode(typecode_or_type: Any) -> str:
    if isinstance(typecode_or_type, str):
        if typecode_or_type not in typecode_to_type:
            raise TypeError(
                f"this type has no size: {typecode_or_type!r} is no typecode (one of "
                f"{' '.join(typecode_to_type)}, or a ctypes type)"
            )
        return typecode_or_type
    code = _type_to_typecode.get(typecode_or_type)
    if code is not None:
        return code
    if isinstance(typecode_or_type, type) and hasattr(typecode_or_type, "from_buffer"):
        return str(later.call(f"Value of {typecode_or_type.__name__}")())
    raise TypeError(f"this type has no size: {typecode_or_type!r} is no ctypes type")


class Synchronized(_core.Scalar):
    """A number that processes share; reading and writing `value` takes its lock.

    `value += 1` reads and writes, so wrap it in `with v.get_lock():`.
    """

    def get_lock(self) -> Any:
        """The lock: an RLock unless another was given."""
        return self._lock

    def get_obj(self) -> Any:
        """The ctypes object under it, which takes no lock."""
        return typecode_to_type[self._typecode].from_buffer(self._cell)

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        """Acquire the lock."""
        return bool(self._lock.acquire(*args, **kwargs))

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def __enter__(self) -> bool:
        return bool(self._lock.__enter__())

    def __exit__(self, *args: Any) -> None:
        self._lock.__exit__(*args)

    def __reduce__(self) -> tuple[object, ...]:
        return _adopt, (type(self), self._typecode, self._lock, self._cell.name())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} wrapper for {self.get_obj()!r}>"


class _RawScalar(_core.Scalar):
    """A number that processes share, without a lock."""

    def __reduce__(self) -> tuple[object, ...]:
        return _adopt, (type(self), self._typecode, None, self._cell.name())

    def __repr__(self) -> str:
        return f"{typecode_to_type[self._typecode].__name__}({self.value!r})"


def _adopt(cls: Any, typecode: str, lock: Any, name: tuple[int, int]) -> Any:
    return cls(typecode, lock, _core.Cell.adopt(*name))


def _initialize(scalar: Any, args: tuple[Any, ...]) -> Any:
    if len(args) > 1:
        raise TypeError(f"a Value has one initial value, not {len(args)}")
    if args:
        scalar.value = args[0]
    return scalar


def RawValue(typecode_or_type: Any, *args: Any) -> Any:
    """A shared number without a lock."""
    return _initialize(_RawScalar(_typecode(typecode_or_type), None), args)


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: object = None) -> Any:
    """A shared number, 0 unless an initial value is given.

    Args:
        typecode_or_type: A typecode of the array module, or a simple ctypes type.
        lock: True: a new RLock. False: no lock. Or the lock to use.
    Raises:
        TypeError: No such type, or an initial value that is none of it.
    """
    code = _typecode(typecode_or_type)
    if lock is False:
        return RawValue(code, *args)
    if lock in (True, None):
        lock = RLock()
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire': give a lock, True or False")
    return _initialize(Synchronized(code, lock), args)


Array = later.call("Array")
RawArray = later.call("RawArray")
synchronized = later.call("synchronized")
copy = later.call("copy")
