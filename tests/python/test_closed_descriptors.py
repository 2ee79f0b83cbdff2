"""A program that closes descriptors it does not know, as daemons do, and then starts processes."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest
from helpers import run

_PROGRAM = """
import ctypes, gc, os, signal, sys
import forkful as fk
from forkful.futures import ProcessPoolExecutor
from forkful.shared_memory import SharedMemory

def tell_files(queue):
    names = [os.path.join("/proc/self/fd", each) for each in os.listdir("/proc/self/fd")]
    queue.put([os.stat(name).st_ino for name in names if os.path.exists(name)])

def square(x):
    return x * x

def run_all(method):
    context = fk.get_context(method)
    child = context.Process(target=square, args=(2,))
    child.start()
    child.join()
    assert child.exitcode == 0
    queue = context.Queue()
    child = context.Process(target=queue.put, args=(2,))
    child.start()
    assert queue.get(timeout=30) == 2
    child.join()
    with context.Pool(1) as pool:
        assert pool.map(square, [1, 2]) == [1, 4]
    with ProcessPoolExecutor(1, context) as executor:
        assert list(executor.map(square, [3])) == [9]
    with context.Manager() as manager:
        assert manager.list([2])[:] == [2]

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def try_all(methods):
    for method in methods:
        try:
            run_all(method)
        except OSError as error:
            say(method, error.errno, error)
        else:
            say(method)

def drop_rights():
    # What lets a process open its own mappings: CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE.
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    for right in (21, 40):
        for which in range(3):
            sets[right // 32 * 3 + which] &= ~(1 << right % 32)
    assert libc.capset(header, sets) == 0

def close_all():
    os.closerange(3, 65536)

def daemonise():
    for _ in range(2):
        if os.fork():
            os._exit(0)
        os.setsid()
"""

ALL = ["fork", "spawn", "forkserver"]


def may_open_its_mappings() -> bool:
    import mmap

    fd = os.memfd_create("test")
    os.ftruncate(fd, mmap.PAGESIZE)
    with mmap.mmap(fd, mmap.PAGESIZE), open("/proc/self/maps") as maps:
        inode = str(os.fstat(fd).st_ino)
        os.close(fd)
        place = next(line.split()[0] for line in maps if line.split()[4] == inode)
        try:
            os.close(os.open(f"/proc/self/map_files/{place}", os.O_RDWR))
        except OSError:
            return False
    return True


def run_main(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(_PROGRAM + 'if __name__ == "__main__":\n' + textwrap.indent(text, "    "))
    return run([sys.executable, str(path)])


def test_processes_are_started_while_another_of_the_family_has_the_descriptors(tmp_path):
    done = run_main(
        tmp_path,
        textwrap.dedent(
            f"""
            drop_rights()
            go = fk.Event()
            other = fk.get_context("fork").Process(target=go.wait)
            other.start()
            try_all({ALL})
            close_all()
            try_all({ALL})
            go.set()
            other.join()
            """
        ),
    )
    assert (done.stdout, done.stderr) == ("fork\nspawn\nforkserver\n" * 2, "")


@pytest.mark.skipif(not may_open_its_mappings(), reason="the kernel does not let this user do so")
def test_a_daemon_that_has_closed_all_and_may_open_its_mappings_starts_processes(tmp_path):
    done = run_main(
        tmp_path,
        textwrap.dedent(
            f"""
            lock = fk.Lock()
            memory = SharedMemory(create=True, size=1)  # starts the family's tracker
            daemonise()
            close_all()
            try_all({ALL})
            memory.unlink()
            """
        ),
    )
    assert (done.stdout, done.stderr) == ("fork\nspawn\nforkserver\n", "")


def test_alone_and_without_rights_a_process_starts_by_fork_and_is_told_why_not_otherwise(tmp_path):
    done = run_main(
        tmp_path,
        textwrap.dedent(
            f"""
            drop_rights()
            lock = fk.Lock()
            close_all()
            try_all({ALL})
            """
        ),
    )
    first, *others = done.stdout.splitlines()
    assert (first, done.stderr) == ("fork", "")
    assert [line.split()[:2] for line in others] == [["spawn", "9"], ["forkserver", "9"]]
    assert all("CAP_SYS_ADMIN" in line and "by fork" in line for line in others)


def test_what_the_program_has_put_at_the_numbers_is_neither_used_nor_closed(tmp_path):
    done = run_main(
        tmp_path,
        textwrap.dedent(
            f"""
            memory = SharedMemory(create=True, size=1)
            go = fk.Event()
            other = fk.get_context("fork").Process(target=go.wait)
            other.start()
            for each in {ALL}:
                run_all(each)
            gc.collect()
            mine = os.memfd_create("mine")
            numbers = [n for n in map(int, os.listdir("/proc/self/fd")) if n > 2]
            for number in numbers:
                os.dup2(mine, number)
            try_all({ALL} * 2)
            for each in {ALL[1:]}:
                queue = fk.Queue()
                child = fk.get_context(each).Process(target=tell_files, args=(queue,))
                child.start()
                assert os.fstat(mine).st_ino not in queue.get(timeout=30)
                child.join()
            memory.unlink()
            gc.collect()
            files = {{os.fstat(number).st_ino for number in numbers}}
            say(len(files), os.fstat(mine).st_size)
            go.set()
            other.join()
            """
        ),
    )
    words = "fork\nspawn\nforkserver\n" * 2 + "1 0\n"
    assert (done.stdout, done.stderr) == (words, "")
