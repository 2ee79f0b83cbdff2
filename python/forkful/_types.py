"""Types for checkers alone: what Value() and RawValue() make. Nothing imports it when it runs."""

from __future__ import annotations

from _ctypes import _SimpleCData
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, overload

from forkful.sharedctypes import Synchronized

__all__ = ["RawValueFactory", "ValueFactory"]

_T = TypeVar("_T")
_C = TypeVar("_C")

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
