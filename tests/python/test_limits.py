"""Limits that a process is under: what works, works; what does not is an OSError."""

from __future__ import annotations

import pytest
from helpers import run_python


@pytest.mark.parametrize("context", ["import", "child"])
def test_a_limit_on_the_size_of_files_is_none_on_memory(context):
    done = run_python(
        """
        import resource, sys
        import forkful

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))

        def put(queue):
            limit()
            for number in range(1000):
                queue.put(bytes(10_000))

        if sys.argv[1] == "import":
            limit()
        queue = forkful.Queue()
        child = forkful.Process(target=put, args=(queue,))
        child.start()
        for _ in range(1000):
            assert len(queue.get()) == 10_000
        child.join()
        with forkful.Pool(2) as pool:
            print(sum(pool.map(abs, range(100))), child.exitcode)
        """,
        context,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "4950 0\n", "")


def test_a_file_limit_that_forbids_all_is_an_error_with_its_name():
    done = run_python(
        """
        import errno, resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        import forkful
        try:
            forkful.Queue()
        except OSError as error:
            print(errno.errorcode[error.errno])
        """
    )
    assert (done.returncode, done.stdout) == (0, "EFBIG\n"), done.stderr


def test_a_member_short_of_address_space_goes_on_or_has_an_error():
    # It frees messages beside free memory that lies in windows it has not mapped.
    done = run_python(
        """
        import pathlib, resource
        import forkful

        def receive(queue, go, done):
            go.get()
            pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + (64 << 20)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            done.put(None)
            go.get()
            received = 0
            try:
                for received in range(1, 401):
                    queue.get()
            except (OSError, MemoryError):
                pass
            done.put(received)

        queue, go, done = forkful.Queue(), forkful.Queue(), forkful.Queue()
        child = forkful.Process(target=receive, args=(queue, go, done))
        child.start()
        go.put(None)
        done.get()
        message = bytes(6000)
        for _ in range(400):
            queue.put(message)
        kept, dropped = forkful.Queue(), forkful.Queue()
        for number in range(70_000):
            (kept if number % 2 else dropped).put(message)
        for _ in range(35_000):
            dropped.get()
        go.put(None)
        print(done.get(timeout=30) > 0)
        child.join()
        print(child.exitcode)
        """
    )
    assert (done.returncode, done.stdout) == (0, "True\n0\n"), done.stderr


def test_a_start_that_the_kernel_refuses_leaves_nothing_to_the_next_fork():
    done = run_python(
        """
        import errno, os, resource
        import forkful, forkful.pool  # both now: another user may not read the files

        def answer(queue, number):
            queue.put(number)

        queue = forkful.Queue()
        process = forkful.Process(target=answer, args=(queue, 1))
        process.start()
        process.join()
        if os.geteuid() == 0:
            os.setuid(65534)  # the limit is none to root
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, most))
        refused = forkful.Process(target=answer, args=(queue, 2))
        for _ in range(3):
            try:
                refused.start()
            except OSError as error:
                assert error.errno == errno.EAGAIN, error
            else:
                raise AssertionError("started beyond the limit")
        try:
            forkful.Pool(2)
        except OSError as error:
            assert error.errno == errno.EAGAIN, error
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        pid = os.fork()
        if pid == 0:
            queue.put(3)
            os._exit(0)
        os.waitpid(pid, 0)
        again = forkful.Process(target=answer, args=(queue, 4))
        again.start()
        again.join()
        print([queue.get() for _ in range(3)], again.exitcode, forkful.active_children())
        with forkful.Pool(2) as pool:
            print(pool.map(abs, [-1]))
        """
    )
    assert (done.returncode, done.stdout) == (0, "[1, 3, 4] 0 []\n[1]\n"), done.stderr


def test_a_child_forked_after_a_daemon_was_refused_is_no_daemon():
    done = run_python(
        """
        import os, resource, sys
        import forkful

        process = forkful.Process(target=print, daemon=True)
        forkful.Queue()
        if os.geteuid() == 0:
            os.setuid(65534)  # the limit is none to root
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, most))
        try:
            process.start()
        except OSError:
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        reader, writer = os.pipe()
        if os.fork() != 0:
            sys.exit(3)  # which ends its daemons
        os.close(writer)
        assert os.read(reader, 1) == b""  # the parent is gone
        print("lives")
        """
    )
    assert (done.returncode, done.stdout) == (3, "lives\n"), done.stderr
