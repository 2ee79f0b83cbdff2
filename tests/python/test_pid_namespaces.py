"""Children that count processes anew, as those of a program that has called unshare()."""

from __future__ import annotations

import os

import forkful
import pytest
from helpers import run_python

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do that")


@pytest.mark.parametrize("start_method", forkful.get_all_start_methods())
def test_children_in_a_namespace_of_their_own_are_known_by_their_numbers_here(start_method):
    done = run_python(
        f"""
        import ctypes
        import os
        import signal
        import forkful
        from forkful import forkserver

        CLONE_NEWPID = 0x20000000

        def stay(lock):
            lock.acquire()
            print(os.getpid() < 100, flush=True)
            signal.pause()

        if __name__ == "__main__":
            if ctypes.CDLL(None).unshare(CLONE_NEWPID) != 0:
                raise SystemExit(77)
            context = forkful.get_context({start_method!r})
            # The first one is the others' init, with which they go.
            first = forkful.get_context("fork").Process(target=signal.pause, daemon=True)
            first.start()
            lock = context.Lock()
            child = context.Process(target=stay, args=(lock,))
            child.start()
            while lock.acquire(False):
                lock.release()
            print(lock.acquire(timeout=0.1))
            os.kill(child.pid, signal.SIGKILL)
            try:
                lock.acquire(timeout=30)
            except forkful.LockOwnerDied:
                print("died")
            child.join()
            print(child.exitcode)
            with context.Pool(2) as pool:
                print(pool.map(abs, [-1, -2]))
            # An init ends when all of its namespace are gone and waited for, the fork server, too.
            forkserver._forkserver._stop()
            first.kill()
        """
    )
    if done.returncode == 77:
        pytest.skip("unshare() is not allowed here")
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == sorted(["True", "False", "died", "-9", "[1, 2]"])
