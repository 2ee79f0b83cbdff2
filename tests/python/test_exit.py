"""The interpreter's end: whatever daemon threads are in the middle of, the exit code is as
without us, and nothing is said."""

from __future__ import annotations

import pytest
from helpers import run_python

# What the threads do; `wait()` is called by three of them, again and again.
WAITS = {
    "get": "queue = forkful.Queue(); wait = queue.get",
    "get with a time-out": """
        queue = forkful.Queue()
        def wait():
            try: queue.get(timeout=0.001)
            except Exception: pass
        """,
    "put to a full queue": """
        queue = forkful.Queue(1); queue.put(0)
        def wait():
            try: queue.put(1, timeout=0.001)
            except Exception: pass
        """,
    "put and get": """
        queue = forkful.Queue()
        def wait(): queue.put(1); queue.get()
        """,
    "lock": "lock = forkful.Lock(); lock.acquire(); wait = lock.acquire",
    "lock with a time-out": """
        lock = forkful.Lock(); lock.acquire()
        def wait(): lock.acquire(timeout=0.001)
        """,
    "semaphore": """
        semaphore = forkful.Semaphore(0)
        def wait(): semaphore.acquire(timeout=0.001)
        """,
    "event": "event = forkful.Event(); wait = lambda: event.wait(0.001)",
    "join": """
        child = forkful.Process(target=signal.pause, daemon=True); child.start()
        def wait(): child.join(0.001)
        """,
    "result": """
        pool = forkful.Pool(1); result = pool.apply_async(signal.pause)
        def wait(): result.wait(0.001)
        """,
    "map": "pool = forkful.Pool(1); wait = lambda: pool.map(stay, [1])",
    "imap": "pool = forkful.Pool(1); wait = lambda: next(pool.imap(stay, iter([1])))",
    "short calls": "pool = forkful.Pool(1); wait = lambda: pool.apply(abs, (-1,))",
    "calls by the thousand": "pool = forkful.Pool(1); wait = lambda: pool.apply_async(abs, (1,))",
    # Python code below a frame of ours, where a thread is refused as well.
    "unpickling": """
        class Slow:
            def __reduce__(self): return spin, ()
        queue = forkful.Queue()
        def wait(): queue.put(Slow()); queue.get()
        """,
    "pickling": """
        class Slow:
            def __reduce__(self): spin(); return int, ()
        queue = forkful.Queue()
        def wait(): queue.put(Slow()); queue.get()
        """,
    "converting": """
        value = forkful.Value("d")
        class Slow:
            def __float__(self): spin(); return 1.0
        def wait(): value.value = Slow()
        """,
    "dying": """
        class Slow:
            def __del__(self): spin()
            def __reduce__(self): return Slow, ()
        queue = forkful.Queue()
        def wait(): queue.put(Slow()); queue.get()
        """,
}

PROGRAM = """
import signal, sys, threading, time
import forkful

def stay(_): signal.pause()

def spin():
    end = time.monotonic() + 0.02
    while time.monotonic() < end: pass

{setup}

begun = threading.Semaphore(0)
def thread():
    begun.release()
    while True: wait()
for _ in range(3): threading.Thread(target=thread, daemon=True).start()
for _ in range(3): begun.acquire()
time.sleep(0.02)  # Why: the threads are to be inside of their calls; nothing tells when
sys.exit(7)
"""


def program(setup: str) -> str:
    import textwrap

    return PROGRAM.format(setup=textwrap.dedent(setup))


@pytest.mark.parametrize("wait", WAITS)
def test_a_daemon_thread_in_a_wait_does_not_change_the_end(wait):
    for _ in range(3):
        done = run_python(program(WAITS[wait]))
        assert (done.stderr, done.returncode) == ("", 7)


def test_the_main_thread_hears_at_exit_that_its_pool_was_terminated():
    done = run_python("""
        import atexit, signal

        def late():
            try: result.get()
            except forkful.PoolTerminated: print("terminated")

        atexit.register(late)  # it runs after what forkful does at exit
        import forkful
        pool = forkful.Pool(1)
        result = pool.apply_async(signal.pause)
        """)
    assert (done.stdout, done.returncode) == ("terminated\n", 0)


def test_objects_that_die_last_die_in_silence():
    done = run_python("""
        import sys
        import forkful
        from forkful.util import Finalize

        class Owner: pass

        kept = Owner()
        Finalize(kept, print, ("done",))
        child = forkful.Process()
        child.start()
        child.join()
        # The interpreter lets go of its hooks when the modules are gone.
        def hook(*args, kept=(kept, child)): pass
        sys.excepthook = hook
        sys.settrace(hook)
        del Owner, kept, child, hook
    """)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("first", ["import forkful", "pass"])
def test_a_subinterpreter_is_refused_and_harms_nobody(first):
    done = run_python(f"""
        try: import _interpreters as interpreters
        except ImportError: import _xxsubinterpreters as interpreters
        {first}
        inner = interpreters.create()
        try:
            error = interpreters.run_string(inner, "import forkful")
        except Exception as raised:
            error = raised
        print("ImportError" in str(getattr(error, "type", error)) + str(error))
        interpreters.destroy(inner)
        import forkful
        queue = forkful.Queue()
        queue.put({{"a": [1]}})
        print(queue.get())
        with forkful.Pool(1) as pool: print(pool.map(abs, [-1, -2]))
    """)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == ["True", "{'a': [1]}", "[1, 2]"]


def test_a_module_imported_anew_is_the_same():
    done = run_python("""
        import sys
        import forkful
        queue, died = forkful.Queue(), forkful.LockOwnerDied
        for name in [n for n in sys.modules if n.split(".")[0] == "forkful"]: del sys.modules[name]
        import forkful
        assert forkful.LockOwnerDied is died
        queue.put({}); print(queue.get())
        other = forkful.Queue(); other.put({1}); print(other.get())
    """)
    assert (done.stderr, done.stdout) == ("", "{}\n{1}\n")
