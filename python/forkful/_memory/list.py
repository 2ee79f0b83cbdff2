"""A list of plain values in shared memory, laid out as every Python version does it.

    len | len+1 offsets of the values | the values | 8 bytes of format each | a byte of kind each

All numbers are 8 bytes. A value is read by its format, as the module struct has it, and by its
kind, which says what was made of it. The room of a value does not change.
"""

from __future__ import annotations

import struct
from itertools import accumulate

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeAlias

    from forkful.shared_memory import SharedMemory

    Value: TypeAlias = int | float | bool | str | bytes | None

__all__ = ["ValueList"]

_encoding = "utf8"
_WORD = struct.Struct("q")
_PLAIN, _TEXT, _BYTES, _NONE = range(4)


def _to_pack(value: Value) -> Any:
    return value.encode(_encoding) if isinstance(value, str) else value


def _as_it_is(value: Any) -> Any:
    return value


def _to_bytes(value: bytes) -> bytes:
    return value.rstrip(b"\x00")


def _to_text(value: bytes) -> str:
    return _to_bytes(value).decode(_encoding)


def _to_nothing(value: object) -> None:
    return None


class ValueList:
    """What a ShareableList is, but for how its memory is made and found."""

    shm: SharedMemory
    _list_len = 0
    _allocated_offsets: list[int]

    # How each type is written. The room of a value is a multiple of _alignment.
    _types_mapping: dict[type, str] = {
        type(None): "xxxxxx?x",
        bool: "xxxxxxx?",
        int: "q",
        float: "d",
        bytes: "%ds",
        str: "%ds",
    }
    _alignment = 8
    # What is made of a value that was read, by its kind.
    _back_transforms_mapping: dict[int, Callable[[Any], Any]] = {
        _PLAIN: _as_it_is,
        _TEXT: _to_text,
        _BYTES: _to_bytes,
        _NONE: _to_nothing,
    }

    def _attach(self, memory: SharedMemory) -> None:
        self.shm = memory
        (self._list_len,) = _WORD.unpack_from(memory.buf, 0)
        self._allocated_offsets = list(
            struct.unpack_from(self._format_size_metainfo, memory.buf, 8)
        )

    def _plan(self, sequence: Iterable[Value]) -> tuple[list[tuple[str, Value]], int]:
        """The values with their formats, and how much memory they take."""
        known = self._types_mapping.get
        values = []
        for value in sequence:
            form = known(type(value))
            if form is None or form[-1] == "s":
                form = self._first_format(value)
            values.append((form, value))
        self._list_len = len(values)
        rooms = (int(form[:-1]) if form[-1] == "s" else self._alignment for form, _ in values)
        self._allocated_offsets = list(accumulate(rooms, initial=0))
        return values, self._offset_back_transform_codes + self._list_len

    def _fill(self, memory: SharedMemory, values: list[tuple[str, Value]]) -> None:
        self.shm = memory
        numbers = (self._list_len, *self._allocated_offsets)
        forms = [form for form, _ in values]
        noted = {form: form.encode(_encoding).ljust(8, b"\x00") for form in set(forms)}
        samples = {type(value): value for _, value in values}
        kinds = {kind: self._extract_recreation_code(value) for kind, value in samples.items()}
        # Why no function of struct: that would keep what it has made of these formats. Values lie
        # without gaps: the room of each is a multiple of what a number is aligned to.
        parts = (
            struct.Struct(f"{len(numbers)}q").pack(*numbers),
            struct.Struct("".join(forms)).pack(*[_to_pack(value) for _, value in values]),
            b"".join([noted[form] for form in forms]),
            bytes([kinds[type(value)] for _, value in values]),
        )
        data = b"".join(parts)
        memory.buf[: len(data)] = data

    @classmethod
    def _first_format(cls, value: Value) -> str:
        form = cls._format_of(value)
        if form[-1] != "s" or not isinstance(value, str | bytes):
            return form
        # By the characters of a str, as everywhere, and more where its bytes need it.
        size = cls._alignment
        room = size * (len(value) // size + 1)
        if isinstance(value, str) and not value.isascii():
            room = max(room, size * -(-len(value.encode(_encoding)) // size))
        return form % room

    @classmethod
    def _format_of(cls, value: Value) -> str:
        try:
            return cls._types_mapping[type(value)]
        except KeyError:
            raise KeyError(
                f"a ShareableList has int, float, bool, str, bytes and None, not "
                f"{type(value).__name__}: convert it to one of them"
            ) from None

    @staticmethod
    def _extract_recreation_code(value: Value) -> int:
        """The kind of a value."""
        if isinstance(value, str):
            return _TEXT
        if isinstance(value, bytes):
            return _BYTES
        return _NONE if value is None else _PLAIN

    # --- where everything is ---

    @property
    def _offset_data_start(self) -> int:
        return 8 * (self._list_len + 2)

    @property
    def _offset_packing_formats(self) -> int:
        room = self._allocated_offsets[-1]
        return self._offset_data_start + room

    @property
    def _offset_back_transform_codes(self) -> int:
        return 8 * self._list_len + self._offset_packing_formats

    # The formats of the tables.
    @property
    def _format_size_metainfo(self) -> str:
        return f"{self._list_len + 1}q"

    @property
    def _format_back_transform_codes(self) -> str:
        return f"{self._list_len}b"

    @property
    def _format_packing_metainfo(self) -> str:
        return "8s" * self._list_len

    def _place(self, position: int, refusal: str) -> int:
        place = position if position >= 0 else position + self._list_len
        if not 0 <= place < self._list_len:
            raise IndexError(refusal)
        return place

    def _get_packing_format(self, position: int) -> str:
        """The format of an item."""
        at = self._offset_packing_formats + 8 * self._place(position, "index out of range")
        return bytes(self.shm.buf[at : at + 8]).rstrip(b"\x00").decode(_encoding)

    def _get_back_transform(self, position: int) -> Callable[[Any], Any]:
        """What is to be made of an item that was read."""
        at = self._offset_back_transform_codes + self._place(position, "index out of range")
        return self._back_transforms_mapping[self.shm.buf[at]]

    def _set_packing_format_and_transform(
        self, position: int, fmt_as_str: str, value: Value
    ) -> None:
        """Note the format and the kind of an item."""
        place = self._place(position, "assignment index out of range")
        buffer = self.shm.buf
        at = self._offset_packing_formats + 8 * place
        struct.pack_into("8s", buffer, at, fmt_as_str.encode(_encoding))
        buffer[self._offset_back_transform_codes + place] = self._extract_recreation_code(value)

    def _write(self, place: int, form: str, value: Value) -> None:
        at = self._offset_data_start + self._allocated_offsets[place]
        # One that cannot be written leaves the item as it was.
        data = struct.pack(form, _to_pack(value))
        self.shm.buf[at : at + len(data)] = data
        self._set_packing_format_and_transform(place, form, value)

    # --- a list's own ---

    def __getitem__(self, position: int) -> Any:
        place = self._place(position, "index out of range")
        # All in one, as it is what a list is for; _get_packing_format() and the rest say the same.
        buffer = self.shm.buf
        start = self._offset_data_start
        formats = start + self._allocated_offsets[-1]
        at = formats + 8 * place
        form = bytes(buffer[at : at + 8]).rstrip(b"\x00")
        (value,) = struct.unpack_from(form, buffer, start + self._allocated_offsets[place])
        kind = buffer[formats + 8 * self._list_len + place]
        return self._back_transforms_mapping[kind](value)

    def __setitem__(self, position: int, value: Value) -> None:
        place = self._place(position, "assignment index out of range")
        form = self._format_of(value)
        if isinstance(value, str | bytes):
            room = self._allocated_offsets[place + 1] - self._allocated_offsets[place]
            length = len(value.encode(_encoding) if isinstance(value, str) else value)
            if length > room:
                raise ValueError(
                    f"bytes/str item exceeds available storage: item {place} has room for {room} "
                    f"bytes, not {length}"
                )
            form %= room
        self._write(place, form, value)

    def __len__(self) -> int:
        return self._list_len

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(self._list_len))

    @property
    def format(self) -> str:
        """The formats of all items, as the module struct has them."""
        return "".join(map(self._get_packing_format, range(self._list_len)))

    def count(self, value: object) -> int:
        """How many items equal it."""
        return sum(value == each for each in self)

    def index(self, value: object) -> int:
        """The place of the first item that equals it.

        Raises:
            ValueError: None does.
        """
        for place, each in enumerate(self):
            if value == each:
                return place
        raise ValueError(f"{value!r} not in this container")
