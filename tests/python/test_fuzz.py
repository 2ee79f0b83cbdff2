"""Messages that a rogue process has written over are objects or exceptions, never a crash."""

from __future__ import annotations

import importlib.util
import struct
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helpers import run

FOLDER = Path(__file__).resolve().parents[1] / "fuzz"
PROGRAM = FOLDER / "python_messages.py"


@pytest.fixture
def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(PROGRAM.stem, PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[PROGRAM.stem] = module  # its dataclass looks for its module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["python_messages", "python_frames"])
def test_a_short_turn_of_the_fuzzers_finds_nothing(name, tmp_path):
    # The same inputs each time: a change is what makes one fail.
    program = str(FOLDER / f"{name}.py")
    ran = run([sys.executable, program, "inputs", "3000", "1", str(tmp_path)])
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "item", ["text", ("text", 1), ["text"], {"text": 1}, {"text" * 30: "text"}, [1, {"a": "text"}]]
)
def test_a_text_that_is_not_the_ascii_it_says_is_one_exception(fuzzer, item):
    rogue = fuzzer.Rogue()
    message = rogue.encoded(item)
    assert b"text" in message
    for damage in (b"\xd5ext", b"tex\x80"):
        at, size = rogue.send(item)
        rogue.memory[at : at + size] = message.replace(b"text", damage)
        with pytest.raises(EOFError, match="damaged"):
            rogue.queue.get(timeout=5)


def test_names_that_are_no_text_are_one_exception(fuzzer):
    rogue = fuzzer.Rogue()
    as_global = rogue.encoded([len])
    name = b"builtins\0len"
    assert name in as_global
    at, size = rogue.send([len])
    rogue.memory[at : at + size] = as_global.replace(name, b"\xff" * 8 + b"\0\xff\xff\xff")
    with pytest.raises(UnicodeDecodeError):
        rogue.queue.get(timeout=5)


def test_constants_within_constants_without_end_are_one_exception(fuzzer):
    # Tags of values: see python/bindings/value_tags.hpp.
    as_object, as_constant = b"\x0c", b"\x16"
    heads = [as_object + as_constant + struct.pack("<I", 6 * depth + 1) for depth in range(100_000)]
    message = b"".join(reversed(heads)) + b"\x02"
    rogue = fuzzer.Rogue()
    text = "a large text " + "x" * (len(message) - 19)  # in a block, with 6 bytes ahead of it
    rogue.queue.put(text)
    at = fuzzer.find(rogue.memory, text[:13].encode()) - 6
    rogue.memory[at : at + len(message)] = message
    with pytest.raises(EOFError, match="damaged"):
        rogue.queue.get(timeout=5)
