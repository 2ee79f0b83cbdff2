"""SharedMemory and ShareableList: memory under a name, also for other programs."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest
from forkful import resource_tracker, shared_memory
from forkful.shared_memory import ShareableList, SharedMemory
from helpers import no_new_files, open_descriptors, run_python, shared_memory_files

VALUES = ["howdy", b"HoWdY", -273.154, 100, None, True, 42, "x" * 17, "", "é"]


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    made = SharedMemory(create=True, size=100)
    yield made
    made.close()
    if f"{made.name}" in shared_memory_files():
        made.unlink()


def run_standard(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program that has the standard library's multiprocessing."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_is_a_file_of_this_user_with_the_given_size(memory):
    about = os.stat(f"/dev/shm/{memory.name}")
    assert (about.st_size, about.st_mode & 0o777) == (100, 0o600)
    assert memory.size == len(memory.buf) == 100
    assert bytes(memory.buf) == bytes(100)
    assert memory._name == "/" + memory.name
    assert repr(memory) == f"SharedMemory({memory.name!r}, size=100)"


def test_another_object_of_the_name_has_the_same_bytes(memory):
    other = SharedMemory(memory.name, size=5)
    memory.buf[3] = 7
    assert (other.buf[3], other.size) == (7, 100)
    copy = pickle.loads(pickle.dumps(memory))
    assert (copy.name, copy.buf[3]) == (memory.name, 7)
    other.close()
    copy.close()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"create": True}, ValueError, "different from zero"),
        ({"create": True, "size": -1}, ValueError, "positive"),
        ({}, ValueError, "create=True"),
        ({"name": "forkful_none"}, FileNotFoundError, "forkful_none"),
        ({"name": "forkful/none"}, OSError, "no name of shared memory"),
        ({"name": "..", "create": True, "size": 1}, OSError, "no name of shared memory"),
        ({"name": "x" * 256, "create": True, "size": 1}, OSError, "no name of shared memory"),
        ({"name": "a\0b", "create": True, "size": 1}, ValueError, "null"),
        ({"name": "a\0b"}, ValueError, "null"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(arguments, error, text, recwarn):
    files, descriptors = shared_memory_files(), open_descriptors().keys()
    with pytest.raises(error, match=text):
        SharedMemory(**arguments)
    assert no_new_files(files)
    assert open_descriptors().keys() == descriptors


def test_a_name_that_is_taken_is_refused_and_its_memory_stays(memory):
    with pytest.raises(FileExistsError, match=memory.name):
        SharedMemory(memory.name, create=True, size=5)
    assert SharedMemory(memory.name).size == 100
    assert (("shared_memory", memory._name)) in registered()


def registered() -> set[tuple[str, str]]:
    tracker = resource_tracker._resource_tracker
    assert tracker._open_notes()
    tracked, _ = resource_tracker.notes.read(tracker._notes, tracker._begin)
    return set(tracked)


def test_a_made_up_name_that_is_taken_is_made_up_again(memory, monkeypatch):
    names = iter([memory._name, memory._name, "/psm_forkful_free"])
    monkeypatch.setattr(shared_memory, "_make_filename", lambda: next(names))
    other = SharedMemory(create=True, size=1)
    assert other.name == "psm_forkful_free"
    other.close()
    other.unlink()


def link_without_proc(fd, name):
    raise FileNotFoundError(2, "No such file or directory", name)


@pytest.mark.parametrize(
    ("function", "stand_in"),
    [("make_unnamed", lambda size, mode: None), ("link", link_without_proc)],
)
def test_what_cannot_be_named_later_is_made_with_its_name(function, stand_in, monkeypatch):
    monkeypatch.setattr(shared_memory.names, function, stand_in)
    made = SharedMemory(create=True, size=10)
    assert len(made.buf) == 10
    assert ("shared_memory", made._name) in registered()
    with pytest.raises(FileExistsError):
        SharedMemory(made.name, create=True, size=10)
    made.close()
    made.unlink()
    assert ("shared_memory", made._name) not in registered()


def test_a_subclass_may_attach_or_make_by_its_flags(memory):
    class Either(SharedMemory):
        _flags = os.O_CREAT | os.O_RDWR

    there, new = Either(memory.name), Either("forkful_either", size=7)
    assert (there.size, new.size) == (100, 7)
    new.unlink()


def test_closing_while_an_array_uses_it_is_refused_and_tried_again(memory):
    other = SharedMemory(memory.name)
    part = other.buf[:3]
    with pytest.raises(BufferError):
        other.close()
    part.release()
    other.close()
    assert other.buf is None
    other.close()


def test_an_object_that_dies_before_its_array_says_nothing():
    done = run_python("""
        from forkful.shared_memory import SharedMemory
        memory = SharedMemory(create=True, size=10)
        part = memory.buf[:3]
        memory.unlink()
        del memory
        part[0] = 1
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_unlinking_twice_raises(memory):
    memory.unlink()
    with pytest.raises(FileNotFoundError, match=memory.name):
        memory.unlink()


def test_more_than_there_is_room_for_is_warned_of(monkeypatch):
    free = os.statvfs("/dev/shm").f_bavail * os.statvfs("/dev/shm").f_frsize
    with pytest.warns(RuntimeWarning, match="SIGBUS"):
        made = SharedMemory(create=True, size=free + (1 << 30))
    made.close()
    made.unlink()


def write(name_or_memory, data):
    memory = name_or_memory
    if isinstance(memory, str):
        memory = SharedMemory(memory)
    memory.buf[: len(data)] = data
    memory.close()


def test_a_child_attaches_by_name_or_by_the_object(context, memory):
    for given, data in [(memory.name, b"name"), (memory, b"object")]:
        child = context.Process(target=write, args=(given, data))
        child.start()
        child.join()
        assert (child.exitcode, bytes(memory.buf[: len(data)])) == (0, data)


def test_lists_have_the_layout_of_the_standard_library():
    made = ShareableList(VALUES)
    form = made.format
    done = run_standard(
        """
        import sys
        from multiprocessing import resource_tracker, shared_memory
        there = shared_memory.ShareableList(name=sys.argv[1])
        resource_tracker.unregister(there.shm._name, "shared_memory")
        print(list(there), there.format)
        there[0] = None
        there[3] = "12345678"
        mine = shared_memory.ShareableList(there)
        resource_tracker.unregister(mine.shm._name, "shared_memory")
        print(mine.shm.name)
        print(bytes(mine.shm.buf).hex())
        """,
        made.shm.name,
    )
    assert done.stderr == ""
    seen, name, data = done.stdout.split("\n")[:3]
    assert seen == f"{VALUES} {form}"
    assert list(made) == [None, b"HoWdY", -273.154, "12345678", *VALUES[4:]]
    theirs = ShareableList(name=name)
    assert list(theirs) == list(made)
    copy = ShareableList(theirs)
    assert bytes(copy.shm.buf).hex() == data
    for each in (made, theirs, copy):
        each.shm.close()
        each.shm.unlink()


def test_a_lists_items_change_within_their_room():
    made = ShareableList(VALUES)
    try:
        for place, value in [(0, 5), (1, None), (7, "y" * 24), (-1, "ab"), (2, b"12345678")]:
            made[place] = value
            assert made[place] == value
        for place, value in [(1, b"123456789"), (7, "é" * 13)]:
            before = made[place]
            with pytest.raises(ValueError, match="exceeds available storage"):
                made[place] = value
            assert made[place] == before
        with pytest.raises(KeyError, match="not list"):
            made[0] = []
        with pytest.raises(Exception, match="argument out of range|requires"):
            made[0] = 1 << 64
        assert made[0] == 5
        for place in (len(VALUES), -len(VALUES) - 1):
            with pytest.raises(IndexError):
                made[place]
            with pytest.raises(IndexError):
                made[place] = 1
        assert (made.count(42), made.index(42)) == (1, 6)
        with pytest.raises(ValueError, match="not in this container"):
            made.index("absent")
        assert repr(made) == f"ShareableList({list(made)}, name={made.shm.name!r})"
    finally:
        made.shm.close()
        made.shm.unlink()


def test_a_list_that_cannot_be_written_leaves_nothing():
    files = shared_memory_files()
    with pytest.raises(Exception, match="argument out of range|requires"):
        ShareableList([1, 1 << 64])
    with pytest.raises(KeyError):
        ShareableList([[]])
    assert no_new_files(files)


def change(values):
    values[1] = "changed"
    values.shm.close()


def test_a_list_goes_to_a_child(context):
    made = ShareableList([0, "original", 2])
    child = context.Process(target=change, args=(made,))
    child.start()
    child.join()
    assert (child.exitcode, list(made)) == (0, [0, "changed", 2])
    assert len(pickle.dumps(made)) == len(pickle.dumps(pickle.loads(pickle.dumps(made))))
    made.shm.close()
    made.shm.unlink()


def test_it_has_the_functions_of_the_c_module(memory):
    fd = shared_memory._posixshmem.shm_open(memory._name, os.O_RDWR, mode=0o600)
    assert os.fstat(fd).st_size == 100
    assert not os.get_inheritable(fd)
    os.close(fd)
    with pytest.raises(FileNotFoundError):
        shared_memory.shm_unlink("/forkful_none")
    shared_memory.shm_unlink(memory._name)
    resource_tracker.unregister(memory._name, "shared_memory")
