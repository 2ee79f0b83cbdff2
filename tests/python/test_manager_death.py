"""Managers when somebody dies, is stopped, interrupts, or means no good."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import threading
import time

import forkful
import pytest
from forkful import process
from forkful._managers.holders import Holders
from forkful.managers import BaseManager, SyncManager
from helpers import await_condition, is_asleep, kill_self, run_python, runs, start_python

GONE = (EOFError, ConnectionError)


@pytest.fixture
def manager(context):
    with context.Manager() as manager:
        yield manager


def wait_and_tell(event, told):
    try:
        event.wait()
    except GONE:
        told.set()


def test_every_call_raises_at_once_when_the_server_is_killed(context):
    manager = context.Manager()
    shared, event, told = manager.dict(), manager.Event(), context.Event()
    waiting = context.Process(target=wait_and_tell, args=(event, told))
    waiting.start()
    await_condition(lambda: is_asleep(waiting.pid))
    manager._process.kill()
    assert told.wait(20)
    waiting.join()
    for _ in range(2):
        with pytest.raises(GONE):
            shared["x"] = 1
    with pytest.raises(GONE):
        manager.dict()
    with pytest.raises(GONE):
        manager._number_of_objects()
    assert "failed>" in str(shared)
    manager.shutdown()
    assert manager._process.exitcode == -signal.SIGKILL
    assert not os.path.exists(manager.address)


def test_calls_raise_at_once_after_a_shutdown(context):
    manager = context.Manager()
    shared = manager.list()
    manager.shutdown()
    raised = []

    def call():
        try:
            shared.append(1)
        except GONE as error:
            raised.append(error)

    for _ in range(2):
        call()
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert len(raised) == 3


def hold_for_ever(shared, lock):
    shared["pid"] = os.getpid()
    lock.acquire()
    signal.pause()


def test_the_server_goes_on_when_a_client_is_killed(manager, context):
    shared, lock = manager.dict(), manager.Semaphore(2)
    child = context.Process(target=hold_for_ever, args=(shared, lock))
    child.start()
    await_condition(lambda: "pid" in shared)
    child.kill()
    child.join()
    shared["still"] = True
    assert lock.acquire(True, 20)


def hold_and_wait(shared, held):
    mine = [pickle.loads(pickle.dumps(shared)) for _ in range(3)]
    mine[0].append(1)
    held.set()
    signal.pause()


def test_the_references_of_a_client_that_is_killed_go_with_it(manager, context):
    shared, held = manager.list(), context.Event()
    for _ in range(3):
        child = context.Process(target=hold_and_wait, args=(shared, held))
        child.start()
        assert held.wait(20)
        held.clear()
        child.kill()
        child.join()
    await_condition(lambda: manager._debug_info().count("refcount=1\n") == 1)
    assert shared[:] == [1, 1, 1]
    del shared
    assert manager._number_of_objects() == 0


def test_what_a_client_gives_back_after_its_end_is_not_given_back_twice():
    holders = Holders()
    child = subprocess.Popen(["sleep", "1000"])
    for _ in range(2):
        holders.take(child.pid, "a")
    holders.take(0, "a")
    assert holders.left_by_the_dead() == []
    assert holders.give_back(child.pid, "a")
    child.kill()
    assert holders.left_by_the_dead(20) == ["a"]
    child.wait()
    assert not holders.has_references(child.pid)
    assert not holders.give_back(child.pid, "a")
    assert holders.give_back(child.pid, "a") and holders.give_back(0, "a")
    holders.take(child.pid, "a")  # it is gone, so nothing is known of it
    assert not holders.has_references(child.pid)


def test_a_server_ends_with_an_owner_that_is_killed():
    program = """
        import forkful, signal
        manager = forkful.Manager()
        shared = manager.dict()
        print(manager._process.pid, flush=True)
        signal.pause()
    """
    with start_python(program) as owner:
        server = int(owner.stdout.readline())
        assert runs(server)
        owner.kill()
        owner.wait()
        await_condition(lambda: not runs(server))


def test_a_server_ends_with_an_owner_that_ends_itself():
    program = """
        import forkful, os
        manager = forkful.Manager()
        print(manager._process.pid, flush=True)
        os._exit(0)
    """
    with start_python(program) as owner:
        server = int(owner.stdout.readline())
        owner.wait()
        await_condition(lambda: not runs(server))


def test_a_program_ends_whose_manager_was_never_shut_down():
    program = """
        import forkful
        manager = forkful.Manager()
        shared = manager.list([1])
        shared.append(manager.dict())
        print(manager._process.pid)
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert not runs(int(done.stdout))


def have_manager(pid):
    manager = SyncManager()
    manager.start()
    pid.value = manager._process.pid
    signal.pause()


def test_a_server_ends_with_a_child_that_owns_it_and_is_killed(context):
    pid = context.Value("i")
    owner = context.Process(target=have_manager, args=(pid,))
    owner.start()
    await_condition(lambda: pid.value)
    owner.kill()
    owner.join()
    await_condition(lambda: not runs(pid.value))


def test_a_server_that_is_stopped_is_ended(context):
    manager = SyncManager(ctx=context, shutdown_timeout=0.2)
    manager.start()
    os.kill(manager._process.pid, signal.SIGSTOP)
    start = time.monotonic()
    manager.shutdown()
    assert time.monotonic() - start < 10
    assert manager._process.exitcode == -signal.SIGTERM


def test_a_server_whose_start_is_killed_is_reported(context):
    manager = BaseManager(ctx=context)
    with pytest.raises(EOFError, match="exit code -9 before it served"):
        manager.start(kill_self)


def test_ctrl_c_is_for_the_program_and_not_for_the_server(manager):
    shared = manager.list()
    os.kill(manager._process.pid, signal.SIGINT)
    shared.append(1)
    assert shared[:] == [1]


# --- calls in the middle of calls ---


class Gate:
    """Shows that somebody waits at it."""

    def __init__(self):
        self.is_open = threading.Event()
        self.waiting = False

    def pass_through(self):
        self.waiting = True
        return self.is_open.wait(20)

    def is_waited_at(self):
        return self.waiting

    def open(self):
        self.is_open.set()


class GateManager(SyncManager):
    pass


GateManager.register("Gate", Gate)


@contextlib.contextmanager
def handled_by(handle):
    old = signal.signal(signal.SIGUSR1, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, old)


def signal_when(condition):
    """Have a thread send SIGUSR1 when a condition has come true."""

    def wait_and_signal():
        await_condition(condition)
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=wait_and_signal)
    thread.start()
    return thread


def test_a_signals_handler_may_call_in_the_middle_of_a_call(context):
    with GateManager(ctx=context) as manager:
        gate, seen = manager.Gate(), manager.list()

        def handle(number, frame):
            seen.append(1)
            gate.open()

        with handled_by(handle):
            thread = signal_when(gate.is_waited_at)
            assert gate.pass_through() is True
            thread.join()
        assert seen[:] == [1]


class Interrupted(Exception):
    pass


def interrupt(number, frame):
    raise Interrupted


def test_an_interrupted_call_leaves_no_answer_for_the_next_one(context):
    with GateManager(ctx=context) as manager:
        gate, shared = manager.Gate(), manager.dict(a=1)
        with handled_by(interrupt):
            thread = signal_when(gate.is_waited_at)
            with pytest.raises(Interrupted):
                gate.pass_through()
            thread.join()
        gate.open()
        assert (shared["a"], gate.is_waited_at(), len(shared)) == (1, True, 1)


def wait_for_ever(begun):
    begun.set()
    signal.pause()


def test_a_start_that_is_interrupted_leaves_no_server(context):
    manager, begun = SyncManager(ctx=context), context.Event()
    with handled_by(interrupt):
        thread = signal_when(lambda: begun.is_set() and manager._process in process._children)
        with pytest.raises(Interrupted):
            manager.start(wait_for_ever, (begun,))
        thread.join()
    assert manager._process.exitcode == -signal.SIGKILL
    assert not hasattr(manager, "shutdown")


def test_what_cannot_be_pickled_leaves_the_connection_and_its_locks(manager):
    lock, shared = manager.RLock(), manager.list()
    with lock:
        with pytest.raises(TypeError, match="pickle"):
            shared.append(threading.Lock())
        assert lock.acquire(True, 5)  # by the same thread of the server
        lock.release()
    assert shared[:] == []


def test_a_child_by_os_fork_has_a_connection_of_its_own(manager):
    shared = manager.list()
    shared.append(0)
    pid = os.fork()
    if pid == 0:
        try:
            for _ in range(50):
                shared.append(1)
            assert sum(shared[:]) >= 50
            os._exit(0)
        finally:
            os._exit(1)
    for _ in range(50):
        shared.append(1)
        assert shared[0] == 0
    assert os.waitpid(pid, 0)[1] == 0
    assert sum(shared[:]) == 100


def test_each_thread_has_its_own_connection(manager):
    shared = manager.dict()

    def change(name):
        for each in range(50):
            shared[name, each] = name
            assert shared[name, each] == name

    threads = [threading.Thread(target=change, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shared) == 200


# --- those who mean no good ---


@pytest.mark.parametrize(
    "sent", [b"", b"\0\0\0\x10", b"\x7f\xff\xff\xff", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\x03abc"]
)
def test_a_silent_or_odd_client_keeps_nobody_waiting(context, sent):
    with SyncManager(("localhost", 0), ctx=context) as manager:
        others = [socket.create_connection(manager.address) for _ in range(20)]
        for other in others:
            other.sendall(sent)
        shared = manager.dict(a=1)
        assert shared["a"] == 1
        for other in others:
            other.close()
        assert shared["a"] == 1


def test_a_client_with_another_key_is_refused(context):
    with SyncManager(authkey=b"right", ctx=context) as manager:
        shared = manager.dict(a=1)
        stranger = SyncManager(manager.address, b"wrong")
        for _ in range(3):
            with pytest.raises(forkful.AuthenticationError):
                stranger.connect()
        assert shared["a"] == 1


def test_a_request_that_cannot_be_read_is_answered(manager):
    shared = manager.list()
    shared.append(1)
    conn = vars(shared._tls)["connection"]
    conn._conn.send_bytes(b"no pickle")
    assert conn.recv()[0] == "#TRACEBACK"
    conn.send((shared._id, "append", (2,)))
    assert conn.recv()[0] == "#TRACEBACK"
    assert shared[:] == [1]
