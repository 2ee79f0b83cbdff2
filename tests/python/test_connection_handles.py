"""Descriptors, sockets and connections in messages, at any time and to any member."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading

import forkful
import pytest
from forkful import Pipe, reduction, resource_sharer
from forkful.connection import Connection
from helpers import run_python, stay


@pytest.fixture(autouse=True)
def nothing_is_shared_afterwards():
    yield
    resource_sharer.stop(20)


def use_what_comes(queue, done):
    conn = queue.get()
    conn.send(("from", os.getpid()))
    conn.close()
    done.wait(20)


@pytest.mark.parametrize("duplex", [True, False])
def test_a_connection_goes_through_a_queue(context, duplex):
    queue, done = context.Queue(), context.Event()
    child = context.Process(target=use_what_comes, args=(queue, done))
    child.start()
    receiver, sender = context.Pipe(duplex)
    queue.put(sender)
    sender.close()
    assert receiver.recv() == ("from", child.pid)
    with pytest.raises(EOFError):  # the sharer keeps no copy
        receiver.recv()
    done.set()
    child.join()
    receiver.close()


def send_back(conn):
    for _ in range(2):
        got = conn.recv()
        got.send(b"by a socket" if isinstance(got, socket.socket) else "by a connection")
        got.close()


def test_connections_and_sockets_go_through_a_connection(context):
    here, there = context.Pipe()
    child = context.Process(target=send_back, args=(there,))
    child.start()
    a, b = context.Pipe()
    raw, other = socket.socketpair()
    here.send(b)
    assert a.recv() == "by a connection"
    here.send(other)
    assert raw.recv(100) == b"by a socket"
    child.join()
    assert child.exitcode == 0
    for each in (raw, other):
        each.close()


def write_to(conn, text):
    conn.send(text)
    conn.close()
    return os.getpid()


def make_pipe(text):
    receiver, sender = Pipe(False)
    sender.send(text)
    return receiver


def test_connections_go_to_and_from_the_workers_of_a_pool(context):
    with context.Pool(2) as pool:
        pairs = [context.Pipe(False) for _ in range(4)]
        pids = pool.starmap(write_to, [(sender, i) for i, (_, sender) in enumerate(pairs)])
        assert len(pids) == 4
        assert [receiver.recv() for receiver, _ in pairs] == [0, 1, 2, 3]
        assert pool.apply(make_pipe, ("made by a worker",)).recv() == "made by a worker"


def test_a_socket_can_be_sent_where_sockets_were_imported_late():
    done = run_python("""
        import sys, forkful
        queue = forkful.Queue(strict=True)
        assert "socket" not in sys.modules
        import socket
        a, b = socket.socketpair()
        queue.put(b)
        b.close()
        got = queue.get()
        assert type(got) is socket.socket and got.family == socket.AF_UNIX
        a.send(b"x")
        print(got.recv(1), forkful.reduction.ForkingPickler.dumps(a)[:2])
        got.close()
        a.close()
    """)
    assert (done.stdout, done.stderr) == ("b'x' b'\\x80\\x05'\n", "")


def receive_handle(conn):
    fd = reduction.recv_handle(conn)
    assert not os.get_inheritable(fd)
    os.write(fd, b"through it")
    os.close(fd)


def test_a_handle_is_sent_to_a_child(context):
    here, there = context.Pipe()
    child = context.Process(target=receive_handle, args=(there,))
    child.start()
    reader, writer = os.pipe()
    reduction.send_handle(here, writer, child.pid)
    os.close(writer)
    assert os.read(reader, 100) == b"through it"
    assert os.read(reader, 100) == b""
    os.close(reader)
    child.join()


def test_several_descriptors_go_at_once():
    a, b = socket.socketpair()
    ends = [os.pipe() for _ in range(2)]
    reduction.sendfds(a, [fd for pair in ends for fd in pair])
    got = reduction.recvfds(b, 4)
    os.write(got[1], b"x")
    assert os.read(ends[0][0], 1) == b"x"
    for fd in [*got, *ends[0], *ends[1]]:
        os.close(fd)
    a.close()
    with pytest.raises(EOFError):
        reduction.recvfds(b, 1)
    b.close()


def test_descriptors_that_are_not_what_was_to_come_are_refused_and_closed(
    no_descriptor_stays_behind,
):
    a, b = Pipe()
    os.write(a.fileno(), b"\0")
    with pytest.raises(RuntimeError, match="received 0 descriptors"):
        reduction.recv_handle(b)
    with socket.socket(fileno=os.dup(a.fileno())) as raw:
        for count in (1, 2, 3):
            reduction.sendfds(raw, [0] * count)
            with pytest.raises(RuntimeError, match="invalid data"):
                with socket.socket(fileno=os.dup(b.fileno())) as other:
                    reduction.recvfds(other, 4)
        for count in (2, 3):
            reduction.sendfds(raw, [0] * count)
            with pytest.raises(RuntimeError, match="invalid data"):
                reduction.recv_handle(b)
    reduction.send_handle(a, 1, None)
    os.close(reduction.recv_handle(b))
    a.close()
    b.close()


def test_a_pickled_connection_is_handed_over_once():
    a, b = Pipe()
    pickled = pickle.dumps(b)
    b.close()
    with pickle.loads(pickled) as again:
        assert isinstance(again, Connection)
        again.send(1)
    assert a.recv() == 1
    with pytest.raises(EOFError, match="received before"):
        pickle.loads(pickled)
    a.close()


class Labelled(Connection):
    pass


def test_a_closed_connection_and_a_subclass():
    a, b = Pipe()
    a.close()
    with pytest.raises(OSError, match="handle is closed"):
        pickle.dumps(a)
    mine = Labelled(b.fileno())
    b._handle = None
    with pickle.loads(pickle.dumps(mine)) as again:
        assert again.readable
    mine.close()


def pickle_one_and_die(conn):
    receiver, sender = Pipe()
    conn.send(receiver)
    conn.recv()
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_sender_that_is_gone_is_named(context):
    here, there = context.Pipe()
    child = context.Process(target=pickle_one_and_die, args=(there,))
    child.start()
    pickled = here.recv_bytes()
    here.send("die")
    child.join()
    with pytest.raises(OSError, match="the process that has sent it is gone"):
        pickle.loads(pickled)


def wait_and_say_how_many(event, conn):
    event.wait()
    conn.send(len(os.listdir("/proc/self/fd")))


def test_a_child_does_not_hold_what_its_parent_offers(context):
    counts = []
    for offered in (0, 20):
        pairs = [Pipe() for _ in range(20)]
        pickles = [pickle.dumps(b) for _, b in pairs[:offered]]
        here, there = context.Pipe()
        event = context.Event()
        child = context.Process(target=wait_and_say_how_many, args=(event, there))
        child.start()
        event.set()
        counts.append(here.recv())
        child.join()
        for each in pickles:
            pickle.loads(each).close()
        for pair in pairs:
            for conn in pair:
                conn.close()
        resource_sharer.stop(20)
    assert counts[1] <= counts[0]


def test_stop_closes_what_nobody_came_for(no_descriptor_stays_behind):
    resource_sharer.stop()
    a, b = Pipe()
    pickled = pickle.dumps(b)
    b.close()
    assert not a.poll()
    resource_sharer.stop(20)
    with pytest.raises(EOFError):
        a.recv()
    with pytest.raises(OSError, match="is gone"):
        pickle.loads(pickled)
    a.close()
    c, d = Pipe()  # it starts again
    with pickle.loads(pickle.dumps(d)) as again:
        again.send(1)
    assert c.recv() == 1
    c.close()
    d.close()
    resource_sharer.stop(20)


def test_many_threads_come_at_once():
    pairs = [Pipe() for _ in range(20)]
    pickles = [pickle.dumps(b) for _, b in pairs]

    def take(number):
        with pickle.loads(pickles[number]) as conn:
            conn.send(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [a.recv() for a, _ in pairs] == list(range(20))


def stop_at_the_door(conn, ident):
    # Connected and authenticated, but says nothing.
    with forkful.connection.Client(ident[0], authkey=forkful.current_process().authkey):
        conn.send("there")
        stay()


def test_a_stopped_receiver_keeps_nobody_waiting(context):
    shared = resource_sharer.DupFd(0)
    here, there = context.Pipe()
    child = context.Process(target=stop_at_the_door, args=(there, shared._id))
    child.start()
    assert here.recv() == "there"
    os.close(shared.detach())
    child.kill()
    child.join()


def test_a_child_that_is_forked_by_hand_has_a_sharer_of_its_own():
    done = run_python("""
        import os, pickle, warnings, forkful
        from forkful import resource_sharer
        warnings.simplefilter("ignore")
        a, b = forkful.Pipe()
        pickle.dumps(b)
        pid = os.fork()
        if pid == 0:
            assert not resource_sharer._resource_sharer._offers
            c, d = forkful.Pipe()
            with pickle.loads(pickle.dumps(d)) as again:
                again.send("child")
            print(c.recv(), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        resource_sharer.stop()
    """)
    assert (done.stdout, done.stderr) == ("child\n", "")


def test_duplicates_go_the_way_of_the_child_that_is_being_started():
    from forkful import context

    class Popen:
        def duplicate_for_child(self, fd):
            return fd + 1000

        def DupFd(self, fd):
            return ("for the child", fd)

    context.set_spawning_popen(Popen())
    try:
        assert reduction.DupFd(3) == ("for the child", 1003)
    finally:
        context.set_spawning_popen(None)
