"""Which ctypes objects lie in shared memory, and how they are pickled."""

from __future__ import annotations

import ctypes
import sys

from forkful import _core, heap, reduction

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CODE_OF_TYPE",
    "TYPE_OF_CODE",
    "cell_of",
    "new_value",
    "rebuild_ctype",
    "rebuild_spelt",
    "reduce_ctype",
    "spell",
    "type_of",
    "typecode_to_type",
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
CODE_OF_TYPE = {
    **{kind: code for code, kind in typecode_to_type.items()},
    ctypes.c_bool: "?",
    ctypes.c_longdouble: "g",
}
TYPE_OF_CODE = {code: kind for kind, code in CODE_OF_TYPE.items()} | typecode_to_type


def type_of(typecode_or_type: Any) -> Any:
    """The ctypes type that a typecode, or the type itself, says.

    Raises:
        TypeError: It is neither.
    """
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


_NATIVE, _SWAPPED = ("__ctype_le__", "__ctype_be__")[:: 1 if sys.byteorder == "little" else -1]


def spell(kind: Any) -> Any:
    """A type as pickle can name it: what has a name itself, or how it is made of that."""
    if issubclass(kind, ctypes.Array) and kind is kind._type_ * kind._length_:
        return "array", spell(kind._type_), kind._length_
    if issubclass(kind, ctypes._Pointer) and kind is ctypes.POINTER(kind._type_):
        return "pointer", spell(kind._type_)
    native = getattr(kind, _NATIVE, kind)
    return kind if native is kind else ("swapped", native)


def _read_spelt(spelt: Any) -> Any:
    if not isinstance(spelt, tuple):
        return spelt
    how, kind, *length = spelt
    if how == "array":
        return _read_spelt(kind) * length[0]
    return ctypes.POINTER(_read_spelt(kind)) if how == "pointer" else getattr(kind, _SWAPPED)


def rebuild_ctype(type_: Any, wrapper: Any, length: int | None) -> Any:
    """A ctypes object in the memory of a heap.BufferWrapper.

    Args:
        type_: Its type; that of its elements where it is an array of `length`.
        length: None: it is no array.
    Raises:
        ValueError: The memory is too small.
    """
    kind = type_ if length is None else type_ * length
    # From now on pickling asks of each object of the type whether it is one of these.
    reduction.ForkingPickler.register(kind, reduce_ctype)
    in_cell = isinstance(wrapper, _core.Cell)
    obj = kind.from_buffer(wrapper if in_cell else wrapper.create_memoryview())
    obj._wrapper = wrapper
    return obj


def rebuild_spelt(spelt: Any, wrapper: Any) -> Any:
    """The object of a type as spell() has it. Pickles name this function.

    Raises: As rebuild_ctype().
    """
    return rebuild_ctype(_read_spelt(spelt), wrapper, None)


def cell_of(obj: Any) -> Any:
    """The shared memory that an object lies in, or None.

    A copy of a ctypes object has the attributes of the first one, and memory of its own.
    """
    wrapper = getattr(obj, "_wrapper", None)
    is_there = isinstance(wrapper, _core.Cell) and wrapper._address == ctypes.addressof(obj)
    return wrapper if is_there else None


def reduce_ctype(obj: Any) -> Any:
    """How a ctypes object is pickled: by its memory where that is shared, else by its bytes.

    Raises:
        ValueError: It is not in shared memory, and has pointers.
    """
    cell = cell_of(obj)
    if cell is None:
        return obj.__reduce_ex__(5)
    return rebuild_spelt, (spell(type(obj)), cell)


def new_value(type_: Any, name: str | None = None) -> Any:
    """A ctypes object of zeros in shared memory.

    Raises:
        OSError: The family has no memory left.
    """
    return rebuild_ctype(type_, heap.BufferWrapper(ctypes.sizeof(type_), name=name), None)
