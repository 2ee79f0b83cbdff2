"""A family's notes of what is to be removed when it is gone."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from forkful import resource_tracker
from forkful._memory import notes
from forkful.shared_memory import SharedMemory


@pytest.fixture
def file() -> Iterator[int]:
    fd = os.memfd_create("notes")
    os.ftruncate(fd, 1000)
    anew = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_APPEND)
    yield anew
    os.close(fd)
    os.close(anew)


def test_notes_come_to_what_still_holds(file, seeded: random.Random):
    model: notes.Tracked = {}
    assert notes.read(file, 1000) == ({}, 1000)
    for _ in range(3000):
        name = seeded.choice(["/a", "/b c", "/ä\n", "/d" * 90])
        number = (1, seeded.randrange(3) + 1)
        key = ("shared_memory", name)
        what = seeded.randrange(40)
        if what == 0:
            notes.tidy(file, 1000)
        elif what == 1:
            # Somebody was killed in the middle of writing; that is not seen in a memfd.
            os.write(file, b"\nREGISTER shared_memory 1 1 2f"[: seeded.randrange(1, 29)])
        elif what < 20:
            notes.write(file, notes.REGISTER, *key, number)
            model.setdefault(key, set()).add(number)
        elif what < 30:
            notes.write(file, notes.UNREGISTER, *key, number)
            model.get(key, set()).discard(number)
            if not model.get(key):
                model.pop(key, None)
        else:
            notes.write(file, notes.UNREGISTER, *key)
            model.pop(key, None)
        assert notes.read(file, 1000)[0] == model


def test_what_is_noted_while_others_tidy_counts(file, monkeypatch):
    notes.write(file, notes.REGISTER, "shared_memory", "/a")
    notes.write(file, notes.REGISTER, "shared_memory", "/b")
    real = notes.read

    def read_and_be_overtaken(fd, begin):
        found = real(fd, begin)
        notes.write(file, notes.UNREGISTER, "shared_memory", "/a")
        notes.write(file, notes.REGISTER, "shared_memory", "/c")
        return found

    monkeypatch.setattr(notes, "read", read_and_be_overtaken)
    notes.tidy(file, 1000)
    monkeypatch.undo()
    assert set(notes.read(file, 1000)[0]) == {("shared_memory", "/b"), ("shared_memory", "/c")}


def test_memory_of_old_notes_is_given_back(monkeypatch):
    monkeypatch.setattr(resource_tracker, "_NOTES_KEPT", 300_000)
    tracker = resource_tracker._resource_tracker
    keep = SharedMemory(create=True, size=1)
    for _ in range(10_000):
        resource_tracker.register("/forkful_none", "shared_memory")
        resource_tracker.unregister("/forkful_none", "shared_memory")
    about = os.fstat(tracker._notes)
    assert about.st_size > 1_000_000
    assert about.st_blocks * 512 < 600_000
    tracked, _ = notes.read(tracker._notes, tracker._begin)
    assert ("shared_memory", keep._name) in tracked
    assert ("shared_memory", "/forkful_none") not in tracked
    keep.close()
    keep.unlink()


def make_and_forget(count):
    for _ in range(count):
        memory = SharedMemory(create=True, size=1)
        memory.close()
        memory.unlink()


def test_many_may_make_and_unlink_at_once(context, monkeypatch):
    children = [context.Process(target=make_and_forget, args=(200,)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    tracker = resource_tracker._resource_tracker
    assert not notes.read(tracker._notes, tracker._begin)[0]
