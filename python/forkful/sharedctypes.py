"""ctypes objects in shared memory, alone and with a lock around them."""

from __future__ import annotations

import ctypes
import functools
import operator
import types
import weakref

from forkful import _core, heap
from forkful._ctypes_objects import (
    CODE_OF_TYPE,
    TYPE_OF_CODE,
    cell_of,
    rebuild_ctype,
    rebuild_spelt,
    spell,
    type_of,
)
from forkful._ctypes_objects import new_value as _new_value
from forkful._ctypes_objects import reduce_ctype as reduce_ctype
from forkful._ctypes_objects import typecode_to_type as typecode_to_type
from forkful.context import assert_spawning as assert_spawning
from forkful.synchronize import RLock

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Generic, TypeVar, overload

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
    "SynchronizedArray",
    "SynchronizedBase",
    "SynchronizedString",
    "Value",
    "copy",
    "synchronized",
]

_Simple: Any = ctypes.c_int.__mro__[1]
_AnyType: Any = ctypes.c_int.__mro__[2]


# --- without a lock ---


def RawValue(typecode_or_type: Any, *args: Any, name: str | None = None) -> Any:
    """A ctypes object in shared memory, without a lock, 0 unless initial values are given.

    Args: As for Value().
    Raises:
        TypeError: No such type, or an initial value that is none of it.
        OSError: The family has no memory left.
    """
    obj = _new_value(type_of(typecode_or_type), name)
    try:
        obj.__init__(*args)
    except TypeError as error:
        given = ", ".join(map(repr, args))
        raise TypeError(f"{type(obj).__name__}({given}): {error}") from None
    return obj


def _count_and_values(size_or_initializer: Any) -> tuple[int, Any]:
    """How many elements there are to be, and their values; None: all 0."""
    is_number = hasattr(size_or_initializer, "__index__")
    if is_number and not hasattr(size_or_initializer, "__len__"):
        count = operator.index(size_or_initializer)
        if count < 0:
            raise ValueError(f"Array length must be >= 0: an array has no {count} elements")
        return count, None
    try:
        return len(size_or_initializer), size_or_initializer
    except TypeError:
        raise TypeError(
            f"{size_or_initializer!r} has no length: give the number of elements, or a sequence "
            "of their values; list() makes one of an iterator"
        ) from None


def _fill(array: Any, values: Any) -> None:
    try:
        memoryview(values)
    except (TypeError, ValueError, BufferError):
        values = values if isinstance(values, (list, tuple)) else list(values)
    code = CODE_OF_TYPE.get(array._type_)
    if code is None:
        array[:] = values
    else:
        _core.Elements(array, None, code, array._wrapper)[:] = values


def RawArray(typecode_or_type: Any, size_or_initializer: Any, *, name: str | None = None) -> Any:
    """A ctypes array in shared memory, without a lock.

    Args: As for Array().
    Raises:
        TypeError: No such type, or a value that is none of it.
        ValueError: size_or_initializer is less than 0.
        OSError: The family has no memory left.
    """
    kind = type_of(typecode_or_type)
    count, values = _count_and_values(size_or_initializer)
    array = _new_value(kind * count, name)
    if values is not None:
        _fill(array, values)
    return array


def copy(obj: Any) -> Any:
    """Another ctypes object in shared memory, with the value of `obj`.

    Raises:
        TypeError: obj is no ctypes object.
        OSError: The family has no memory left.
    """
    twin = _new_value(type_of(type(obj)))
    ctypes.memmove(ctypes.addressof(twin), ctypes.addressof(obj), ctypes.sizeof(type(obj)))
    return twin


# --- with a lock ---


def _new_lock(ctx: Any, name: str | None = None) -> Any:
    if ctx is None:
        return RLock(name=name)
    return ctx.RLock() if name is None else ctx.RLock(name=name)


class SynchronizedBase(Generic[_T]):
    """A ctypes object and the lock that guards it.

    Args:
        obj: The object, such as RawValue() makes it.
        lock: An RLock of its own unless one is given.
        ctx: The context that makes that.
    """

    def __init__(self, obj: Any, lock: Any = None, ctx: Any = None) -> None:
        self._obj = obj
        self._lock = lock or _new_lock(ctx)

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
        cell = cell_of(self._obj)
        what = (self._obj, None) if cell is None else (spell(type(self._obj)), cell)
        kind: Any = type(self)
        if kind.__module__ == __name__:
            return _rebuild, (None, *what, self._lock)
        own = {key: each for key, each in vars(self).items() if key not in ("_obj", "_lock")}
        return _rebuild, (kind, *what, self._lock), own or None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} wrapper for {self.get_obj()!r}>"


def _rebuild(kind: Any, spelt: Any, cell: Any, lock: Any) -> Any:
    """What __reduce__() names. `kind`: a subclass that somebody made; its __init__() is not run."""
    obj = spelt if cell is None else rebuild_spelt(spelt, cell)
    if kind is None:
        return synchronized(obj, lock)
    made = kind.__new__(kind)
    (SynchronizedArray if isinstance(made, SynchronizedArray) else SynchronizedBase).__init__(
        made, obj, lock
    )
    return made


prop_cache: dict[str, Any] = {}


def make_property(name: str) -> Any:
    """A property that reads and writes an attribute of the object with the lock held."""
    if name in prop_cache:
        return prop_cache[name]

    # By the lock's methods: a with statement takes a quarter longer.
    def read(self: SynchronizedBase[Any]) -> Any:
        lock = self._lock
        lock.acquire()
        try:
            return getattr(self._obj, name)
        finally:
            lock.release()

    def write(self: SynchronizedBase[Any], value: Any) -> None:
        lock = self._lock
        lock.acquire()
        try:
            setattr(self._obj, name, value)
        finally:
            lock.release()

    made = property(read, write, doc=f"{name!r}, read or written with the lock held.")
    return prop_cache.setdefault(name, made)


class Synchronized(SynchronizedBase[_T]):
    """A number that processes share; reading and writing `value` takes its lock.

    `value += 1` reads and writes, so wrap it in `with v.get_lock():`, or, of an integer, use
    fetch_add(1), which is one step. Where the lock's owner has died, reading and writing raise
    LockOwnerDied and change nothing; get_lock().recover() helps.
    """

    value: _T = make_property("value")

    if TYPE_CHECKING:

        def fetch_add(self: Synchronized[int], number: int, /) -> int: ...
        def fetch_sub(self: Synchronized[int], number: int, /) -> int: ...
        def exchange(self: Synchronized[int], number: int, /) -> int: ...
        def compare_exchange(self: Synchronized[int], expected: int, desired: int, /) -> bool: ...

    else:

        def _in_one_step(self, *numbers):
            """Change the value in one step: of integers by a typecode, or by a type of ctypes'.

            Raises:
                TypeError: This one is none of those: change it inside `with v.get_lock():`.
            """
            raise TypeError(
                f"a Value of {type(self._obj).__name__} is not changed in one step, as those by "
                "the typecode of an integer are: change its value inside 'with v.get_lock():'"
            )

        fetch_add = fetch_sub = exchange = compare_exchange = _in_one_step


@_core.own_methods
class _Number(_core.Scalar, Synchronized[_T]):
    """A Synchronized whose value the engine reads and writes."""

    @functools.cached_property
    def _obj(self) -> Any:
        return rebuild_ctype(TYPE_OF_CODE[self._typecode], self._cell, None)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._typecode, self._lock, self._cell)


_Number.__name__ = "Synchronized"


class SynchronizedArray(_core.Elements, SynchronizedBase[_T]):
    """An array that processes share; each access takes its lock.

    `a[i] += 1` reads and writes, so wrap it in `with a.get_lock():`. Where the lock's owner has
    died, reading and writing raise LockOwnerDied and change nothing; get_lock().recover() helps.
    Assigning values of which one does not fit changes nothing, either.

    Args:
        obj: The array, such as RawArray() makes it.
        lock, ctx: As for SynchronizedBase.
    """

    def __init__(self, obj: Any, lock: Any = None, ctx: Any = None) -> None:
        code = CODE_OF_TYPE.get(getattr(obj, "_type_", None), "")
        cell = getattr(obj, "_wrapper", None)
        super().__init__(obj, lock or _new_lock(ctx), code, cell)

    if TYPE_CHECKING:
        _obj: Any
        _lock: Any

        @overload
        def __getitem__(self, key: int, /) -> _T: ...
        @overload
        def __getitem__(self, key: slice, /) -> Any: ...
        def __getitem__(self, key: Any, /) -> Any: ...
        @overload
        def __setitem__(self, key: int, value: _T, /) -> None: ...
        @overload
        def __setitem__(self, key: slice, value: Any, /) -> None: ...
        def __setitem__(self, key: Any, value: Any, /) -> None: ...
        def __iter__(self) -> Iterator[_T]: ...

    def __getslice__(self, start: int, stop: int) -> Any:
        return self[start:stop]

    def __setslice__(self, start: int, stop: int, values: Any) -> None:
        self[start:stop] = values


class SynchronizedString(SynchronizedArray[bytes]):
    """An array of characters: `value` is what comes before the first 0 byte, `raw` all of it.

    Args: As for SynchronizedArray.
    """

    value: bytes = make_property("value")
    raw: bytes = make_property("raw")


class_cache: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _synchronized_structure(kind: Any) -> Any:
    """A subclass of SynchronizedBase with a property for each field of a structure or union."""
    if kind not in class_cache:
        fields = [
            field[0] for base in reversed(kind.__mro__) for field in vars(base).get("_fields_", ())
        ]
        class_cache[kind] = type(
            f"Synchronized{kind.__name__}",
            (SynchronizedBase,),
            {name: make_property(name) for name in fields},
        )
    return class_cache[kind]


def synchronized(obj: Any, lock: Any = None, ctx: Any = None) -> Any:
    """An object of SynchronizedBase around a ctypes object.

    Args:
        lock: By default a new RLock.
        ctx: The context that makes that.
    Raises:
        AssertionError: It has a lock already.
        AttributeError: It is no ctypes object, or lock is no lock.
    """
    assert not isinstance(obj, SynchronizedBase), "object already synchronized"
    if not isinstance(obj, _AnyType):
        raise AttributeError(
            f"{obj!r} has no '_fields_', as it is no ctypes object: RawValue() and RawArray() make "
            "those"
        )
    if lock:
        _check_lock(lock)
    if isinstance(obj, ctypes.Array):
        kind = SynchronizedString if obj._type_ is ctypes.c_char else SynchronizedArray
        return kind(obj, lock, ctx)
    if not isinstance(obj, _Simple):
        return _synchronized_structure(type(obj))(obj, lock, ctx)
    code = CODE_OF_TYPE.get(type(obj))
    cell = cell_of(obj)
    if code is None or cell is None:
        return Synchronized(obj, lock, ctx)
    number: _Number[Any] = _Number(code, lock or _new_lock(ctx), cell)
    number._obj = obj
    return number


def _chosen_lock(lock: Any, ctx: Any, name: str | None) -> Any:
    if lock in (True, None):
        return _new_lock(ctx, name)
    _check_lock(lock)
    return lock


def _check_lock(lock: object) -> None:
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire': give a lock, True or False")


def Value(
    typecode_or_type: Any,
    *args: Any,
    lock: Any = True,
    ctx: Any = None,
    name: str | None = None,
) -> Any:
    """A shared value, 0 unless initial values are given.

    Args:
        typecode_or_type: A typecode of the array module, or a ctypes type.
        args: What the ctypes type is called with.
        lock: True: a new RLock. False: no lock, as RawValue(). Or the lock to use.
        name: What views of the family call it, and its own lock; by default the line of the
            program that makes it.
    Raises:
        TypeError: No such type, or an initial value that is none of it.
        AttributeError: `lock` is no lock.
        OSError: The family has no memory left.
    """
    kind = type_of(typecode_or_type)
    if lock is False:
        return RawValue(kind, *args, name=name)
    lock = _chosen_lock(lock, ctx, name)
    code = CODE_OF_TYPE.get(kind)
    if code is None:
        return synchronized(RawValue(kind, *args, name=name), lock, ctx)
    if len(args) > 1:
        raise TypeError(f"a Value of {kind.__name__} has one initial value, not {len(args)}")
    memory = heap.BufferWrapper(ctypes.sizeof(kind), name=name)
    number: _Number[Any] = _Number(code, lock, memory)
    if args:
        number.value = args[0]
    return number


def Array(
    typecode_or_type: Any,
    size_or_initializer: Any,
    *,
    lock: Any = True,
    ctx: Any = None,
    name: str | None = None,
) -> Any:
    """A shared array, of zeros unless initial values are given.

    Args:
        typecode_or_type: A typecode of the array module, or a ctypes type: that of the elements.
        size_or_initializer: How many elements, or a sequence of their values.
        lock: True: a new RLock. False: no lock, as RawArray(). Or the lock to use.
        name: As for Value().
    Raises:
        TypeError: No such type, or a value that is none of it.
        ValueError: size_or_initializer is less than 0.
        AttributeError: `lock` is no lock.
        OSError: The family has no memory left.
    """
    array = RawArray(typecode_or_type, size_or_initializer, name=name)
    return array if lock is False else synchronized(array, _chosen_lock(lock, ctx, name), ctx)
