"""wait() and poll(), and calls of connections that signals interrupt."""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
import threading
import time

import pytest
from forkful import Pipe
from forkful.connection import Client, Listener, wait
from helpers import await_condition, echo, is_asleep, stay


@pytest.fixture(params=[True, False], ids=["duplex", "simplex"])
def pipe(request):
    """What receives, and what sends."""
    receiver, sender = Pipe(request.param)
    with receiver, sender:
        yield receiver, sender


def hold(connection):
    stay()


def test_poll_waits_as_long_as_it_is_told(pipe):
    receiver, sender = pipe
    begin = time.monotonic()
    assert not receiver.poll()
    assert not receiver.poll(-1)
    assert not receiver.poll(0.05)
    assert time.monotonic() - begin >= 0.05
    timer = threading.Timer(0.05, sender.send, (1,))
    timer.start()
    assert receiver.poll(None)
    timer.join()


def test_wait_tells_which_are_ready(context):
    pairs = [Pipe() for _ in range(3)]
    raw, other = socket.socketpair()
    child = context.Process(target=hold, args=(pairs[2][1],))
    child.start()
    objects = [pairs[0][0], pairs[1][0], raw, child.sentinel]
    assert wait(objects, 0) == []
    pairs[1][1].send("here")
    assert wait(objects, 20) == [pairs[1][0]]
    other.send(b"x")
    assert wait(objects, 20) == [pairs[1][0], raw]
    child.kill()
    assert wait([child.sentinel], 20) == [child.sentinel]
    assert wait(iter(objects)) == [pairs[1][0], raw, child.sentinel]
    child.join()
    raw.close()
    other.close()


def test_wait_refuses_what_has_no_descriptor():
    a, _ = Pipe()
    for bad in (-1, "x", object()):
        with pytest.raises(ValueError, match="cannot wait for"):
            wait([a, bad], 0)
    a.close()
    with pytest.raises(OSError, match="handle is closed"):
        wait([a], 0)


def test_more_than_1024_descriptors_can_be_waited_for():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip("fewer descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    try:
        pairs = [Pipe(False) for _ in range(1100)]
        pairs[-1][1].send("the last")
        assert pairs[-1][0].poll()
        assert wait([receiver for receiver, _ in pairs]) == [pairs[-1][0]]
        assert pairs[-1][0].recv() == "the last"
        for pair in pairs:
            for each in pair:
                each.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Struck(Exception):
    pass


@pytest.mark.parametrize("call", ["recv", "poll", "wait"])
def test_a_handlers_exception_ends_a_wait(pipe, call):
    receiver, sender = pipe

    def strike(number, frame):
        raise Struck

    before = signal.signal(signal.SIGUSR1, strike)
    main = threading.main_thread()
    striker = threading.Thread(
        target=lambda: (
            await_condition(lambda: is_asleep(main.native_id)),
            signal.pthread_kill(main.ident, signal.SIGUSR1),
        )
    )
    try:
        striker.start()
        with pytest.raises(Struck):
            if call == "recv":
                receiver.recv()
            elif call == "poll":
                receiver.poll(None)
            else:
                wait([receiver])
        striker.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    sender.send("still there")
    assert receiver.recv() == "still there"


def test_the_default_timeout_of_sockets_does_not_count():
    socket.setdefaulttimeout(0.05)
    try:
        a, b = Pipe()
        timer = threading.Timer(0.15, b.send, (1,))
        timer.start()
        assert a.recv() == 1
        timer.join()
        with Listener(("localhost", 0)) as listener:
            timer = threading.Timer(0.15, Client, (listener.address,))
            timer.start()
            with listener.accept() as accepted:
                assert os.get_blocking(accepted.fileno())
            timer.join()
    finally:
        socket.setdefaulttimeout(None)


# --- interrupted in the middle of a message ---


class Bell:
    """Signals this thread when it sleeps in the kernel, as often as is asked for."""

    def __init__(self, count):
        self.struck = 0
        self.main = threading.main_thread()
        self.before = signal.signal(signal.SIGUSR1, self.strike)
        self.thread = threading.Thread(target=self.ring, args=(count,))

    def strike(self, number, frame):
        self.struck += 1
        raise Struck

    def ring(self, count):
        for wanted in range(1, count + 1):
            await_condition(lambda: is_asleep(self.main.native_id))
            signal.pthread_kill(self.main.ident, signal.SIGUSR1)
            await_condition(lambda wanted=wanted: self.struck == wanted)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.thread.join()
        signal.signal(signal.SIGUSR1, self.before)


@pytest.mark.parametrize("header", [struct.pack("!i", 20), struct.pack("!iq", -1, 20)])
def test_a_receiver_that_was_interrupted_goes_on_with_the_message(pipe, header):
    receiver, sender = pipe
    whole = header + b"twenty bytes of text"
    pieces = [whole[:2], whole[2:5], whole[5:15], whole[15:20]]
    for piece in pieces:
        os.write(sender.fileno(), piece)
        with Bell(1), pytest.raises(Struck):
            receiver.recv_bytes()
    os.write(sender.fileno(), whole[20:])
    assert receiver.recv_bytes() == b"twenty bytes of text"
    sender.send("next")
    assert receiver.recv() == "next"


def test_of_half_a_sent_message_the_receiver_is_told(pipe):
    receiver, sender = pipe
    with Bell(1), pytest.raises(Struck):
        sender.send_bytes(b"x" * (8 << 20))
    # However often it is tried: what it would send would be taken for the rest of that message.
    for send in (sender.send, sender.send_bytes, sender.send):
        with pytest.raises(BrokenPipeError, match="earlier send in the middle of its message"):
            send(b"next")
    with pytest.raises(OSError, match="end of file during message"):
        receiver.recv_bytes()
    if receiver.writable:
        receiver.send("the other way")
        assert sender.recv() == "the other way"


def test_a_sender_that_was_interrupted_before_it_began_can_go_on(pipe):
    receiver, sender = pipe
    os.set_blocking(sender.fileno(), False)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sender.send_bytes(b"y" * 60)
            sent += 1
    os.set_blocking(sender.fileno(), True)
    with Bell(1), pytest.raises(Struck):
        sender.send_bytes(b"z" * 60)
    for _ in range(sent):
        assert receiver.recv_bytes() == b"y" * 60
    sender.send("goes on")
    assert receiver.recv() == "goes on"


def test_signals_that_do_not_raise_change_nothing(context):
    here, there = context.Pipe()
    child = context.Process(target=echo, args=(there, here))
    child.start()
    there.close()
    count = [0]

    def note(number, frame):
        count[0] += 1

    before = signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for size in (1, 1000, 100_000, 3 << 20):
            data = os.urandom(size)
            for _ in range(5):
                here.send(data)
                assert here.recv() == data
        await_condition(lambda: count[0] > 10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    here.close()
    child.join()
