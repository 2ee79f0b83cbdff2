"""What programs take from util: finalizers, forks, descriptors, the log."""

from __future__ import annotations

import gc
import os
import socket
import threading

import forkful
import pytest
from forkful import _finalize, _log, util
from helpers import open_descriptors, run_python


def test_private_names_are_what_they_were_for():
    seen = []
    finalizer = util.Finalize(None, seen.append, args=("x",), exitpriority=3)
    assert finalizer in util._finalizer_registry.values()
    util._run_finalizers(3)
    assert seen == ["x"]
    assert finalizer not in util._finalizer_registry.values()
    assert util._exiting is _finalize._exiting
    assert util._logger is _log._logger
    assert util._log_to_stderr is _log._log_to_stderr
    before = len(util._afterfork_registry)
    lock = util.ForkAwareThreadLock()
    assert len(util._afterfork_registry) == before + 1
    del lock
    gc.collect()
    assert len(util._afterfork_registry) == before
    with pytest.raises(AttributeError, match="no attribute 'teapot'"):
        _ = util.teapot


def test_abstract_addresses_are_told_apart():
    assert util.abstract_sockets_supported
    for address, expected in [("\0x", True), (b"\0x", True), ("/x", False), (b"", False), ("", 0)]:
        assert util.is_abstract_socket_namespace(address) == expected
    for address in (None, ("localhost", 1)):
        with pytest.raises(TypeError):
            util.is_abstract_socket_namespace(address)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        assert util.is_abstract_socket_namespace(listener.getsockname())


def test_descriptors_are_closed():
    ends = os.pipe()
    util.close_fds(*ends)
    assert not set(ends) & set(open_descriptors())
    third = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(OSError):
        util.close_fds(ends[0] + 5000, third)
    assert third not in open_descriptors()


def test_all_descriptors_but_some_are_closed():
    done = run_python("""
        import os
        from forkful import util
        kept = os.pipe()
        others = os.pipe()
        util.close_all_fds_except([1, 2, *kept])
        os.fstat(kept[0]), os.fstat(kept[1])
        for fd in (0, *others):
            try:
                os.fstat(fd)
            except OSError:
                continue
            print(fd)
        print("done", flush=True)
        os._exit(0)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert util.MAXFD == os.sysconf("SC_OPEN_MAX")


def look_at(local, lock, results):
    results.put((vars(local), lock.acquire(False)))


def test_a_forked_child_has_neither_attributes_of_threads_nor_held_locks():
    context = forkful.get_context("fork")
    local, lock = util.ForkAwareLocal(), util.ForkAwareThreadLock()
    local.x = 1
    results = context.Queue()
    with lock:
        child = context.Process(target=look_at, args=(local, lock, results))
        child.start()
        assert results.get(timeout=20) == ({}, True)
        child.join()
    assert local.x == 1
    seen = []
    other = threading.Thread(target=lambda: seen.append(vars(local)))
    other.start()
    other.join()
    assert seen == [{}]
    assert util.ForkAwareLocal.__reduce__(local) == (util.ForkAwareLocal, ())


def test_a_program_ends_what_serves_it():
    done = run_python("""
        import os
        from forkful import resource_tracker, util
        from forkful.util import get_temp_dir
        folder = get_temp_dir()
        resource_tracker.ensure_running()
        assert os.path.isdir(folder)
        util._cleanup_tests()
        assert resource_tracker._resource_tracker._pid is None
        assert resource_tracker._resource_tracker._exitcode == 0
        assert not os.path.exists(folder)
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_started_by_it_has_the_descriptors_that_are_passed():
    read, write = os.pipe()
    pid = util.spawnv_passfds(
        "/bin/sh", ["sh", "-c", f"echo hello >/proc/self/fd/{write}"], [write]
    )
    os.close(write)
    with open(read) as stream:
        assert stream.read() == "hello\n"
    assert os.waitpid(pid, 0) == (pid, 0)
    with pytest.raises(FileNotFoundError):
        util.spawnv_passfds("/no/such/program", ["x"], [])


LOGGED = """
    import forkful, logging
    forkful.log_to_stderr(logging.{level})
    {body}
"""


def logged(level: str, body: str) -> list[str]:
    done = run_python(LOGGED.format(level=level, body=body))
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("[")]


def test_the_log_of_a_process_has_its_lines_at_their_moments():
    lines = logged(
        "INFO",
        "child = forkful.get_context('fork').Process(target=int, name='kid');"
        "child.start(); child.join()",
    )
    assert lines == [
        "[INFO/kid] child process calling self.run()",
        "[INFO/kid] process shutting down",
        "[INFO/kid] process exiting with exitcode 0",
        "[INFO/MainProcess] process shutting down",
    ]


def test_finalizers_are_logged():
    lines = logged(
        "DEBUG",
        "forkful.get_logger().setLevel(5);"
        "from forkful.util import Finalize;"
        "Finalize(None, print, args=('x',), exitpriority=1)",
    )
    assert "[INFO/MainProcess] process shutting down" in lines
    assert '[DEBUG/MainProcess] running all "atexit" finalizers with priority >= 0' in lines
    assert any(line.startswith("[SUBDEBUG/MainProcess] calling <Finalize") for line in lines)
    assert (
        "[SUBDEBUG/MainProcess] finalizer calling <built-in function print> "
        "with args ('x',) and kwargs {}" in lines
    )
    assert '[DEBUG/MainProcess] running the remaining "atexit" finalizers' in lines


def test_the_end_of_daemons_is_logged():
    lines = logged(
        "INFO",
        "import signal;"
        "child = forkful.get_context('fork').Process(target=signal.pause, name='kid', daemon=True);"
        "child.start()",
    )
    assert "[INFO/MainProcess] calling terminate() for daemon kid" in lines
    assert "[INFO/MainProcess] calling join() for process kid" in lines


def test_a_pools_life_is_logged():
    lines = logged(
        "DEBUG",
        "pool = forkful.get_context('fork').Pool(1);"
        "pool.map(abs, range(3), chunksize=1); pool.close(); pool.join()",
    )
    for line in (
        "[DEBUG/MainProcess] added worker",
        "[INFO/ForkPoolWorker-1] child process calling self.run()",
        "[DEBUG/MainProcess] closing pool",
        "[DEBUG/MainProcess] joining pool",
        "[DEBUG/ForkPoolWorker-1] worker got sentinel -- exiting",
        "[DEBUG/ForkPoolWorker-1] worker exiting after 3 tasks",
        "[INFO/ForkPoolWorker-1] process exiting with exitcode 0",
        "[DEBUG/MainProcess] cleaning up worker 0",
    ):
        assert line in lines


def test_a_worker_that_is_replaced_says_so():
    lines = logged(
        "DEBUG",
        "pool = forkful.get_context('fork').Pool(1, maxtasksperchild=1);"
        "pool.map(abs, range(2), chunksize=1); pool.close(); pool.join()",
    )
    assert "[DEBUG/ForkPoolWorker-1] worker exiting after 1 tasks" in lines
    assert "[DEBUG/ForkPoolWorker-1] worker got sentinel -- exiting" not in lines


def test_the_end_of_a_pool_is_logged():
    lines = logged("DEBUG", "pool = forkful.get_context('fork').Pool(1); pool.terminate()")
    assert "[DEBUG/MainProcess] terminating pool" in lines
    assert "[DEBUG/MainProcess] finalizing pool" in lines
