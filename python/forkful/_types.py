"""Types for checkers alone: what Value(), Array() and the like make. Nothing imports it.

Why an array of a typecode is Any where it has no lock: it goes into np.frombuffer() and the like,
and NumPy lists the kinds of buffers that it takes, without ctypes arrays; before Python 3.12 there
is no type for all of them.
"""

from __future__ import annotations

from _ctypes import Array, _SimpleCData
from collections.abc import Iterable
from ctypes import Structure, Union
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, overload

from forkful.sharedctypes import Synchronized, SynchronizedArray, SynchronizedString

if TYPE_CHECKING:
    from _ctypes import _CData
else:  # it has no name when the program runs
    from ctypes import Structure as _CData

__all__ = ["ArrayFactory", "RawArrayFactory", "RawValueFactory", "ValueFactory"]

_T = TypeVar("_T")
_C = TypeVar("_C", bound=_CData)
_S = TypeVar("_S", bound=Structure | Union)

_Int: TypeAlias = Literal["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"]
_Float: TypeAlias = Literal["f", "d"]


class _LockLike(Protocol):
    def acquire(self, block: bool = ..., timeout: float | None = ...) -> bool: ...
    def release(self) -> None: ...


_Lock: TypeAlias = Literal[True] | _LockLike | None


class ValueFactory(Protocol):
    """Value(): a Synchronized of what the typecode or the ctypes type holds."""

    @overload
    def __call__(
        self,
        typecode_or_type: _Int,
        value: int = ...,
        *,
        lock: Literal[False],
        name: str | None = ...,
    ) -> _SimpleCData[int]: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Int,
        value: int = ...,
        *,
        lock: _Lock = True,
        name: str | None = ...,
    ) -> Synchronized[int]: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Float,
        value: float = ...,
        *,
        lock: Literal[False],
        name: str | None = ...,
    ) -> _SimpleCData[float]: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Float,
        value: float = ...,
        *,
        lock: _Lock = True,
        name: str | None = ...,
    ) -> Synchronized[float]: ...
    @overload
    def __call__(
        self, typecode_or_type: type[_C], *args: Any, lock: Literal[False], name: str | None = ...
    ) -> _C: ...
    @overload
    def __call__(
        self,
        typecode_or_type: type[_SimpleCData[_T]],
        *args: Any,
        lock: _Lock = True,
        name: str | None = ...,
    ) -> Synchronized[_T]: ...
    @overload
    def __call__(
        self, typecode_or_type: object, *args: Any, lock: object = True, name: str | None = ...
    ) -> Any: ...


class RawValueFactory(Protocol):
    """RawValue(): the ctypes object itself."""

    @overload
    def __call__(
        self, typecode_or_type: _Int, value: int = ..., *, name: str | None = ...
    ) -> _SimpleCData[int]: ...
    @overload
    def __call__(
        self, typecode_or_type: _Float, value: float = ..., *, name: str | None = ...
    ) -> _SimpleCData[float]: ...
    @overload
    def __call__(self, typecode_or_type: type[_C], *args: Any, name: str | None = ...) -> _C: ...
    @overload
    def __call__(self, typecode_or_type: object, *args: Any, name: str | None = ...) -> Any: ...


class ArrayFactory(Protocol):
    """Array(): a SynchronizedArray of what the typecode or the ctypes type holds."""

    @overload
    def __call__(
        self,
        typecode_or_type: Literal["c"],
        size_or_initializer: int | Iterable[Any],
        *,
        lock: Literal[False],
        name: str | None = ...,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Int,
        size_or_initializer: int | Iterable[int],
        *,
        lock: Literal[False],
        name: str | None = ...,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Float,
        size_or_initializer: int | Iterable[float],
        *,
        lock: Literal[False],
        name: str | None = ...,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        typecode_or_type: Literal["c"],
        size_or_initializer: int | Iterable[Any],
        *,
        lock: _Lock = True,
        name: str | None = ...,
    ) -> SynchronizedString: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Int,
        size_or_initializer: int | Iterable[int],
        *,
        lock: _Lock = True,
        name: str | None = ...,
    ) -> SynchronizedArray[int]: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Float,
        size_or_initializer: int | Iterable[float],
        *,
        lock: _Lock = True,
        name: str | None = ...,
    ) -> SynchronizedArray[float]: ...
    @overload
    def __call__(
        self,
        typecode_or_type: type[_C],
        size_or_initializer: int | Iterable[Any],
        *,
        lock: Literal[False],
        name: str | None = ...,
    ) -> Array[_C]: ...
    @overload
    def __call__(
        self,
        typecode_or_type: type[_SimpleCData[_T]],
        size_or_initializer: int | Iterable[Any],
        *,
        lock: _Lock = True,
        name: str | None = ...,
    ) -> SynchronizedArray[_T]: ...
    @overload
    def __call__(
        self,
        typecode_or_type: type[_S],
        size_or_initializer: int | Iterable[Any],
        *,
        lock: _Lock = True,
        name: str | None = ...,
    ) -> SynchronizedArray[_S]: ...
    @overload
    def __call__(
        self,
        typecode_or_type: object,
        size_or_initializer: Any,
        *,
        lock: object = True,
        name: str | None = ...,
    ) -> Any: ...


class RawArrayFactory(Protocol):
    """RawArray(): the ctypes array itself."""

    @overload
    def __call__(
        self,
        typecode_or_type: Literal["c"],
        size_or_initializer: int | Iterable[Any],
        *,
        name: str | None = ...,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Int,
        size_or_initializer: int | Iterable[int],
        *,
        name: str | None = ...,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        typecode_or_type: _Float,
        size_or_initializer: int | Iterable[float],
        *,
        name: str | None = ...,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        typecode_or_type: type[_C],
        size_or_initializer: int | Iterable[Any],
        *,
        name: str | None = ...,
    ) -> Array[_C]: ...
    @overload
    def __call__(
        self, typecode_or_type: object, size_or_initializer: Any, *, name: str | None = ...
    ) -> Any: ...
