"""Values in shared memory, as ctypes has their types."""

from __future__ import annotations

import ctypes
import types

from forkful import _core, _later, reduction
from forkful.synchronize import RLock

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, Generic, TypeVar

    _T = TypeVar("_T")
else:

    class Generic:
        """In place of that of typing: what is in the brackets says nothing when it runs."""

        __class_getitem__ = classmethod(types.GenericAlias)

    _T = None

__all__ = [
    "Array",
    "RawArray",
    "RawValue",
    "Synchronized",
    "SynchronizedBase",
    "Value",
    "copy",
    "synchronized",
]

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
# The types whose values the engine reads and writes by itself, by the codes that it knows them by.
# Later ones win where two codes name one type; 'q' is 'l' where both have 64 bits.
_code_of_type = {
    **{kind: code for code, kind in typecode_to_type.items()},
    ctypes.c_bool: "?",
    ctypes.c_longdouble: "g",
}
_type_of_code = {code: kind for kind, code in _code_of_type.items()} | typecode_to_type
_Simple: Any = ctypes.c_int.__mro__[1]


def _type_of(typecode_or_type: Any) -> Any:
    if isinstance(typecode_or_type, str):
        if typecode_or_type not in typecode_to_type:
            raise TypeError(
                f"this type has no size: {typecode_or_type!r} is no typecode (one of "
                f"{' '.join(typecode_to_type)}, or a ctypes type)"
            )
        return typecode_to_type[typecode_or_type]
    if isinstance(typecode_or_type, type) and hasattr(typecode_or_type, "from_buffer"):
        return typecode_or_type
    raise TypeError(
        f"this type has no size: {typecode_or_type!r} is no typecode and no ctypes type; "
        "the type comes first: Value('i', 0)"
    )


# --- without a lock ---


def _on_cell(kind: Any, cell: _core.Cell) -> Any:
    obj = kind.from_buffer(cell)
    obj._wrapper = cell
    # From now on pickling asks of each object of the type whether it is one of these.
    reduction.ForkingPickler.register(kind, _reduce_ctype)
    return obj


def _reduce_ctype(obj: Any) -> Any:
    cell = getattr(obj, "_wrapper", None)
    return obj.__reduce_ex__(5) if cell is None else (_on_cell, (type(obj), cell))


def RawValue(typecode_or_type: Any, *args: Any, name: str | None = None) -> Any:
    """A ctypes object in shared memory, without a lock, 0 unless initial values are given.

    Args: As for Value().
    Raises:
        TypeError: No such type, or an initial value that is none of it.
        NotImplementedError: The type is an array.
        OSError: The family has no memory left.
    """
    kind = _type_of(typecode_or_type)
    if issubclass(kind, ctypes.Array):
        _later.call("RawValue of an array type")()
    obj = _on_cell(kind, _core.Cell(max(ctypes.sizeof(kind), 1), name))
    obj.__init__(*args)
    return obj


def copy(obj: Any) -> Any:
    """Another ctypes object in shared memory, with the value of `obj`.

    Raises:
        TypeError: obj is no ctypes object.
        NotImplementedError: It is an array.
        OSError: The family has no memory left.
    """
    twin = RawValue(type(obj))
    ctypes.pointer(twin)[0] = obj
    return twin


# --- with a lock ---


class SynchronizedBase(Generic[_T]):
    """A ctypes object and the lock that guards it.

    Args:
        obj: The object, such as RawValue() makes it.
        lock: An RLock of its own unless one is given.
    """

    def __init__(self, obj: Any, lock: Any = None, ctx: object = None) -> None:
        self._obj = obj
        self._lock = lock or RLock(ctx=ctx)

    if TYPE_CHECKING:
        _lock: Any

    def get_lock(self) -> RLock:
        """The lock: an RLock unless another was given."""
        return self._lock  # type: ignore[no-any-return]

    def get_obj(self) -> Any:
        """The ctypes object under it, which takes no lock."""
        return self._obj

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        """Acquire the lock: acquire(block=True, timeout=None), as that has it.

        Raises: As the lock's acquire().
        """
        return bool(self._lock.acquire(*args, **kwargs))

    def release(self) -> None:
        """Release the lock.

        Raises: As the lock's release().
        """
        self._lock.release()

    def __enter__(self) -> bool:
        return bool(self._lock.__enter__())

    def __exit__(self, *args: Any) -> None:
        self._lock.__exit__(*args)

    def __reduce__(self) -> tuple[object, ...]:
        return synchronized, (self._obj, self._lock)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} wrapper for {self.get_obj()!r}>"


def _locked_property(name: str) -> Any:
    """A property that reads and writes an attribute of the object with the lock held."""

    def read(self: SynchronizedBase[Any]) -> Any:
        with self._lock:
            return getattr(self.get_obj(), name)

    def write(self: SynchronizedBase[Any], value: Any) -> None:
        with self._lock:
            setattr(self.get_obj(), name, value)

    return property(read, write, doc=f"{name!r}, read or written with the lock held.")


class Synchronized(SynchronizedBase[_T]):
    """A number that processes share; reading and writing `value` takes its lock.

    `value += 1` reads and writes, so wrap it in `with v.get_lock():`. Where the lock's owner has
    died, reading and writing raise LockOwnerDied and change nothing; get_lock().recover() helps.
    """

    value: _T = _locked_property("value")


class _Number(_core.Scalar, Synchronized[_T]):
    """A Synchronized whose value the engine reads and writes."""

    def get_obj(self) -> Any:
        """The ctypes object under it, which takes no lock."""
        return _on_cell(_type_of_code[self._typecode], self._cell)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._typecode, self._lock, self._cell)


_Number.__name__ = "Synchronized"
_structures: dict[Any, Any] = {}


def _synchronized_structure(kind: Any) -> Any:
    """A subclass of SynchronizedBase with a property for each field of a structure."""
    if kind not in _structures:
        fields = [
            field[0] for base in reversed(kind.__mro__) for field in vars(base).get("_fields_", ())
        ]
        _structures[kind] = type(
            f"Synchronized{kind.__name__}",
            (SynchronizedBase,),
            {name: _locked_property(name) for name in fields},
        )
    return _structures[kind]


def synchronized(obj: Any, lock: Any = None, ctx: object = None) -> Any:
    """An object of SynchronizedBase around a ctypes object.

    Args:
        lock: By default a new RLock.
    Raises:
        AssertionError: It has a lock already.
        NotImplementedError: It is an array.
    """
    assert not isinstance(obj, SynchronizedBase), "object already synchronized"
    if isinstance(obj, ctypes.Array):
        _later.call("synchronized() of an array")()
    if isinstance(obj, _Simple):
        return Synchronized(obj, lock, ctx)
    return _synchronized_structure(type(obj))(obj, lock, ctx)


def Value(
    typecode_or_type: Any,
    *args: Any,
    lock: Any = True,
    ctx: object = None,
    name: str | None = None,
) -> Any:
    """A shared value, 0 unless initial values are given.

    Args:
        typecode_or_type: A typecode of the array module, or a ctypes type that is no array.
        lock: True: a new RLock. False: no lock, as RawValue(). Or the lock to use.
        name: What views of the family call it, and its own lock; by default the line of the
            program that makes it.
    Raises:
        TypeError: No such type, or an initial value that is none of it.
        AttributeError: `lock` is no lock.
        NotImplementedError: The type is an array.
        OSError: The family has no memory left.
    """
    kind = _type_of(typecode_or_type)
    if lock is False:
        return RawValue(kind, *args, name=name)
    if lock in (True, None):
        lock = RLock(name=name)
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire': give a lock, True or False")
    code = _code_of_type.get(kind)
    if code is None:
        return synchronized(RawValue(kind, *args, name=name), lock)
    if len(args) > 1:
        raise TypeError(f"a Value of {kind.__name__} has one initial value, not {len(args)}")
    number: _Number[Any] = _Number(code, lock, None, name)
    if args:
        number.value = args[0]
    return number


Array = _later.call("Array")
RawArray = _later.call("RawArray")
