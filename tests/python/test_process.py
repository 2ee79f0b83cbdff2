"""Process: its attributes, its start and what its child finds."""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time

import forkful
import pytest
from helpers import await_condition, is_asleep, run_python


def report(queue, *args, **kwargs):
    queue.put((args, sorted(kwargs.items()), os.getpid(), os.getppid()))


def test_target_runs_in_a_child_with_its_arguments(context):
    queue = context.Queue()
    child = context.Process(target=report, args=(queue, 1, "two"), kwargs={"b": 2, "a": [1]})
    child.start()
    args, kwargs, pid, parent = queue.get(timeout=10)
    child.join()
    assert (args, kwargs) == ((1, "two"), [("a", [1]), ("b", 2)])
    assert (pid, parent) == (child.pid, os.getpid())
    assert child.exitcode == 0


def test_attributes_follow_the_life_of_a_process(context):
    event = context.Event()
    child = context.Process(target=event.wait, name="worker")
    assert (child.name, child.pid, child.ident, child.exitcode) == ("worker", None, None, None)
    assert child.daemon is False
    assert not child.is_alive()
    with pytest.raises(ValueError, match="worker has a sentinel after start"):
        _ = child.sentinel
    child.start()
    assert child.pid == child.ident != os.getpid()
    assert child.exitcode is None
    assert child.is_alive()
    assert child in context.active_children()
    assert not select.select([child.sentinel], [], [], 0)[0]
    event.set()
    assert select.select([child.sentinel], [], [], 10)[0]
    child.join()
    assert child.exitcode == 0
    assert not child.is_alive()
    assert child not in context.active_children()


def test_repr_says_name_pid_parent_and_state():
    event = forkful.Event()
    child = forkful.Process(target=event.wait, name="worker", daemon=True)
    parent = os.getpid()
    assert repr(child) == f"<Process name='worker' parent={parent} initial daemon>"
    child.start()
    pid = child.pid
    assert repr(child) == f"<Process name='worker' pid={pid} parent={parent} started daemon>"
    child.kill()
    child.join()
    assert "stopped exitcode=-SIGKILL daemon>" in repr(child)
    child.close()
    assert repr(child) == f"<Process name='worker' parent={parent} closed daemon>"
    assert (
        repr(forkful.current_process()) == "<_MainProcess name='MainProcess' parent=None started>"
    )


def name_of_child(queue, method):
    process = forkful.get_context(method).Process
    grandchild = process(target=queue.put, args=(forkful.current_process().name,))
    queue.put(grandchild.name)
    grandchild.start()
    grandchild.join()


def test_default_names_count_and_nest(context):
    queue = context.Queue()
    method = context.get_start_method()
    first = context.Process(target=name_of_child, args=(queue, method))
    second = context.Process()
    kind, number = first.name.split("-")
    assert second.name == f"{kind}-{int(number) + 1}"
    first.start()
    first.join()
    assert [queue.get(timeout=5), queue.get(timeout=5)] == [f"{first.name}:1", first.name]
    first.name = "renamed"
    assert first.name == "renamed"


def test_join_gives_up_in_time_and_may_be_repeated(context):
    event = context.Event()
    child = context.Process(target=event.wait)
    child.start()
    began = time.monotonic()
    assert child.join(0.05) is None
    assert 0.04 <= time.monotonic() - began < 2
    child.join(0)
    child.join(-1)
    assert child.is_alive()
    event.set()
    child.join()
    child.join()
    assert child.exitcode == 0


@pytest.mark.parametrize(
    ("end", "number"), [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)]
)
def test_signals_show_in_the_exit_code(context, end, number):
    child = context.Process(target=signal.pause)
    child.start()
    getattr(child, end)()
    child.join()
    assert child.exitcode == -number
    getattr(child, end)()


def say_when_interrupted(ready, said):
    try:
        ready.set()
        signal.pause()
    except KeyboardInterrupt:
        said.put("interrupted")
        raise


def test_interrupt_is_ctrl_c_in_the_child(context):
    ready, said = context.Event(), context.Queue()
    child = context.Process(target=say_when_interrupted, args=(ready, said))
    child.start()
    ready.wait()
    child.interrupt()
    assert said.get() == "interrupted"
    child.join()
    assert child.exitcode == 1
    child.interrupt()


def test_a_closed_process_can_not_be_used(context):
    child = context.Process(target=int, name="finished")
    child.start()
    sentinel = None
    child.join()
    sentinel = child.sentinel
    child.close()
    child.close()
    with pytest.raises(OSError):
        os.fstat(sentinel)
    for use in (
        child.start,
        child.join,
        child.is_alive,
        child.terminate,
        child.kill,
        lambda: child.pid,
        lambda: child.exitcode,
        lambda: child.sentinel,
    ):
        with pytest.raises(ValueError, match="process object is closed: .* finished"):
            use()


def test_a_running_process_can_not_be_closed(context):
    event = context.Event()
    child = context.Process(target=event.wait, name="busy")
    child.start()
    with pytest.raises(ValueError, match="still running: .* busy"):
        child.close()
    event.set()
    child.join()
    child.close()


class Doubler(forkful.Process):
    def __init__(self, queue, number):
        super().__init__(name="doubler")
        self.queue = queue
        self.number = number

    def run(self):
        self.queue.put((self.number * 2, self.name, forkful.current_process() is self))


def test_run_can_be_overridden():
    queue = forkful.Queue()
    child = Doubler(queue, 21)
    child.start()
    child.join()
    assert queue.get(timeout=5) == (42, "doubler", True)
    assert child.number == 21


def test_a_process_of_each_context_runs():
    for context in (forkful.get_context(), forkful.get_context("fork")):
        child = context.Process(target=sys.exit, args=(4,))
        child.start()
        child.join()
        assert child.exitcode == 4


def look(queue):
    me, parent = forkful.current_process(), forkful.parent_process()
    queue.put((me.name, me.pid, me.is_alive(), me.exitcode, me.daemon))
    queue.put((parent.name, parent.pid, parent.is_alive()))
    assert forkful.parent_process() is parent
    queue.put(threading.main_thread().native_id == os.getpid())
    queue.put((threading.active_count(), len(forkful.active_children())))


def test_current_and_parent_process_know_each_other(context):
    assert forkful.parent_process() is None
    main = forkful.current_process()
    assert (main.name, main.pid, main.exitcode) == ("MainProcess", os.getpid(), None)
    queue = context.Queue()
    child = context.Process(target=look, args=(queue,), name="looker", daemon=True)
    child.start()
    child.join()
    assert queue.get(timeout=5) == ("looker", child.pid, True, None, True)
    assert queue.get(timeout=5) == ("MainProcess", os.getpid(), True)
    assert queue.get(timeout=5) is True
    assert queue.get(timeout=5) == (1, 0)


def read_stdin(queue):
    queue.put(sys.stdin.read())


def test_a_childs_stdin_is_empty(context):
    queue = context.Queue()
    child = context.Process(target=read_stdin, args=(queue,))
    child.start()
    child.join()
    assert queue.get(timeout=5) == ""


@pytest.mark.parametrize("start_method", forkful.get_all_start_methods())
def test_children_take_nothing_of_their_parents_input(start_method):
    # Nor do children of children, whose stdin is their parent's already.
    done = run_python(
        f"""
        import sys
        import forkful

        def read(depth):
            print(repr(sys.stdin.read()), sys.stdin.fileno() >= 0, sys.__stdin__.closed, flush=True)
            if depth:
                child = forkful.Process(target=read, args=(depth - 1,))
                child.start()
                child.join()

        if __name__ == "__main__":
            forkful.set_start_method({start_method!r})
            print(input())
            for _ in range(2):
                child = forkful.Process(target=read, args=(1,))
                child.start()
                child.join()
            print(input())
        """,
        input="first\nsecond\n",
    )
    assert done.stderr == ""
    assert done.stdout == "first\n" + "'' True True\n" * 4 + "second\n"


STDINS = {
    "detached": "sys.stdin.buffer.detach()",
    "closed": "sys.stdin.close()",
    "text": "import io; sys.stdin = io.StringIO('text')",
    "none": "sys.stdin = None",
    "patched open": "import builtins; builtins.open = None",
}


@pytest.mark.parametrize("change", STDINS.values(), ids=STDINS)
def test_children_run_whatever_their_parents_stdin_is(change):
    done = run_python(
        f"""
        import sys
        import forkful

        def read():
            print(repr(sys.stdin and sys.stdin.read()))

        {change}
        child = forkful.get_context("fork").Process(target=read)
        child.start()
        child.join()
        print(child.exitcode)
        """,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == ""
    assert (
        done.stdout == ("None" if change.endswith("None") and "stdin" in change else "''") + "\n0\n"
    )


def start_another(queue, depth, method):
    if depth:
        process = forkful.get_context(method).Process
        child = process(target=start_another, args=(queue, depth - 1, method))
        child.start()
        child.join()
        queue.put((depth, child.exitcode))


def test_processes_nest(context):
    queue = context.Queue()
    start_another(queue, 4, context.get_start_method())
    assert [queue.get(timeout=5) for _ in range(4)] == [(n, 0) for n in (1, 2, 3, 4)]


def test_a_start_does_not_warn_of_a_thread_that_has_ended():
    done = run_python(
        """
        import _thread, os, threading, warnings
        import forkful

        warnings.simplefilter("error")
        known = []

        def make_a_stand_in():
            known.append(threading.current_thread().native_id)

        _thread.start_new_thread(make_a_stand_in, ())
        while not known or os.path.exists(f"/proc/self/task/{known[0]}"):
            pass  # Why: no condition tells of a thread's end
        process = forkful.Process(target=int)
        process.start()
        process.join()
        print(process.exitcode)
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


@pytest.mark.filterwarnings("ignore:.*is multi-threaded:DeprecationWarning")
def test_threads_may_start_processes_together():
    def start_some(codes):
        for _ in range(5):
            child = forkful.Process(target=sys.exit, args=(3,))
            child.start()
            child.join()
            codes.append(child.exitcode)

    codes: list[int] = []
    threads = [threading.Thread(target=start_some, args=(codes,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [3] * 20


def test_a_waiting_child_sleeps_and_is_woken(context):
    queue = context.Queue()
    child = context.Process(target=queue.get)
    child.start()
    await_condition(lambda: is_asleep(child.pid))
    queue.put(None)
    child.join()
    assert child.exitcode == 0


def test_many_started_processes_leave_no_descriptor(no_descriptor_stays_behind):
    for _ in range(3):
        children = [forkful.Process(target=int) for _ in range(10)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    del child, children


def test_a_parent_has_a_sentinel_that_tells_of_its_end():
    def watch(report):
        parent = forkful.parent_process()
        inherited = os.fork()
        if inherited == 0:
            os._exit(0 if parent.is_alive() else 1)
        lives = os.waitstatus_to_exitcode(os.waitpid(inherited, 0)[1]) == 0
        report.put((lives, select.select([parent.sentinel], [], [], 0)[0] == []))
        select.select([parent.sentinel], [], [])
        parent.join()
        report.put(parent.is_alive())

    def start_and_leave(report, leave):
        forkful.Process(target=watch, args=(report,)).start()
        leave.wait()
        os._exit(0)  # it would wait for its child otherwise

    report = forkful.Queue()
    leave = forkful.Event()
    parent = forkful.Process(target=start_and_leave, args=(report, leave))
    parent.start()
    assert report.get(timeout=20) == (True, True)
    leave.set()
    assert report.get(timeout=20) is False
    parent.join()


def test_daemon_is_what_it_was_set_to():
    for given in (True, False, "x", 0, []):
        child = forkful.Process(target=int, daemon=given)
        assert child.daemon is given
        child.start()
        child.join()
        assert child.daemon is given
    assert forkful.Process(target=int, daemon=None).daemon is False


def test_the_key_of_the_family_is_not_pickled():
    for key in (forkful.current_process().authkey, forkful.Process(target=int).authkey):
        assert key == forkful.current_process().authkey
        with pytest.raises(TypeError, match="AuthenticationString"):
            pickle.dumps(key)
