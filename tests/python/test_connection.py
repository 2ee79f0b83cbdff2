"""Pipe, Connection and wait(): messages between processes of a family."""

from __future__ import annotations

import array
import os
import resource
import signal
import socket
import struct
import threading
import time

import forkful
import pytest
from forkful import BufferTooShort, Pipe
from forkful.connection import Client, Connection, Listener, wait
from helpers import await_condition, is_asleep, run_python, stay


@pytest.fixture(params=[True, False], ids=["duplex", "simplex"])
def pipe(request):
    """What receives, and what sends."""
    receiver, sender = Pipe(request.param)
    with receiver, sender:
        yield receiver, sender


def test_objects_and_bytes_arrive_as_they_were_sent(pipe):
    receiver, sender = pipe
    for obj in (None, 0, "text", {"a": [1, 2.5]}, b"", forkful.AuthenticationError("x")):
        sender.send(obj)
        got = receiver.recv()
        assert repr(got) == repr(obj)
    for data in (b"", b"x", bytearray(b"abc"), memoryview(b"abcdef")[::1]):
        sender.send_bytes(data)
        assert receiver.recv_bytes() == bytes(data)
    sender.send_bytes(array.array("i", [1, 2, 3]), 4, 4)
    assert receiver.recv_bytes() == struct.pack("i", 2)
    sender.send_bytes(memoryview(bytes(range(6))).cast("B", (2, 3)))
    assert receiver.recv_bytes() == bytes(range(6))


@pytest.mark.parametrize("size", [16383, 16384, 16385, 1 << 20, (3 << 20) + 1])
def test_a_large_message_arrives_whole(pipe, size):
    receiver, sender = pipe
    data = os.urandom(size)
    thread = threading.Thread(target=sender.send_bytes, args=(data,))
    thread.start()
    assert receiver.recv_bytes() == data
    thread.join()


@pytest.mark.parametrize(("offset", "size"), [(-1, None), (4, None), (0, 4), (2, 2), (0, -1)])
def test_what_is_beyond_the_buffer_is_refused(pipe, offset, size):
    receiver, sender = pipe
    with pytest.raises(ValueError, match=f"offset {offset} and size {size}"):
        sender.send_bytes(b"abc", offset, size)
    assert not receiver.poll()


def test_a_message_is_received_into_a_buffer(pipe):
    receiver, sender = pipe
    room = array.array("i", [0] * 4)
    sender.send_bytes(struct.pack("2i", 7, 8))
    assert receiver.recv_bytes_into(room, 4) == 8
    assert list(room) == [0, 7, 8, 0]
    sender.send_bytes(b"too long for it")
    with pytest.raises(BufferTooShort) as caught:
        receiver.recv_bytes_into(bytearray(4))
    assert caught.value.args == (b"too long for it",)
    for offset in (-1, 5):
        with pytest.raises(ValueError, match=f"offset {offset} is not within"):
            receiver.recv_bytes_into(bytearray(4), offset)
    with pytest.raises(TypeError):
        receiver.recv_bytes_into(b"read only")
    assert not receiver.poll()


def test_a_descriptor_has_to_be_one():
    for handle, error in ((-1, ValueError), ("3", AttributeError), (1.5, AttributeError)):
        with pytest.raises(error):
            Connection(handle)
    with pytest.raises(ValueError, match="at least one"):
        Connection(3, False, False)
    conn = Connection(44977608)
    for call in (conn.recv, conn.close):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()


def test_a_closed_connection_says_so(pipe):
    receiver, sender = pipe
    receiver.close()
    receiver.close()
    assert receiver.closed
    assert not sender.closed
    for call in (receiver.recv, receiver.recv_bytes, receiver.poll, receiver.fileno):
        with pytest.raises(OSError, match="handle is closed"):
            call()
    with pytest.raises(BrokenPipeError):
        sender.send(1)


def test_each_end_of_a_simplex_pipe_has_one_direction():
    receiver, sender = Pipe(duplex=False)
    assert (receiver.readable, receiver.writable) == (True, False)
    assert (sender.readable, sender.writable) == (False, True)
    with pytest.raises(OSError, match="read-only"):
        receiver.send(1)
    for call in (sender.recv, sender.poll, lambda: sender.recv_bytes_into(bytearray(1))):
        with pytest.raises(OSError, match="write-only"):
            call()


def test_what_was_sent_before_the_end_is_received(pipe):
    receiver, sender = pipe
    sender.send("last words")
    sender.close()
    assert receiver.poll()
    assert receiver.recv() == "last words"
    assert receiver.poll()
    with pytest.raises(EOFError, match="closed, or its process is gone"):
        receiver.recv()


@pytest.mark.parametrize(
    ("raw", "error", "words"),
    [
        (struct.pack("!i", -2), OSError, "bad message length: -2"),
        (struct.pack("!i", -1) + struct.pack("!q", -9), OSError, "bad message length: -9"),
        (struct.pack("!i", 101), OSError, "101 bytes, and at most 100"),
        (struct.pack("!i", -1) + struct.pack("!q", 2**40), OSError, f"{2**40} bytes"),
        (b"\0\0", OSError, "end of file during message"),
        (struct.pack("!i", 9) + b"half", OSError, "end of file during message"),
        (struct.pack("!i", 9), EOFError, "gone"),
        (b"", EOFError, "gone"),
    ],
)
def test_what_is_no_message_is_refused(pipe, raw, error, words):
    receiver, sender = pipe
    os.write(sender.fileno(), raw)
    sender.close()
    with pytest.raises(error, match=words):
        receiver.recv_bytes(100)
    with pytest.raises((OSError, EOFError)):
        receiver.recv_bytes()


def test_a_length_of_eight_bytes_is_understood(pipe):
    receiver, sender = pipe
    os.write(sender.fileno(), struct.pack("!iq", -1, 3) + b"abc")
    assert receiver.recv_bytes() == b"abc"


def test_a_false_length_takes_no_memory():
    done = run_python("""
        import os, resource, struct
        from forkful import Pipe
        receiver, sender = Pipe()
        limit = 1 << 31
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for header in (struct.pack("!i", 0x7fffffff), struct.pack("!iq", -1, 1 << 50)):
            receiver, sender = Pipe()
            os.write(sender.fileno(), header + b"few bytes")
            sender.close()
            try:
                receiver.recv_bytes()
            except OSError as error:
                print(error)
    """)
    assert done.stdout.count("end of file during message") == 2, done.stderr


def test_what_cannot_be_pickled_is_not_sent(pipe):
    receiver, sender = pipe
    with pytest.raises(Exception, match="pickle"):
        sender.send(lambda: None)
    sender.send("next")
    assert receiver.recv() == "next"


def test_the_reducer_that_is_assigned_pickles(pipe):
    from forkful import reduction

    class Pickler(reduction.ForkingPickler):
        @classmethod
        def dumps(cls, obj, protocol=None):
            return super().dumps(("mine", obj), 2)

    class Reducer(reduction.AbstractReducer):
        ForkingPickler = Pickler

    receiver, sender = pipe
    context = forkful.get_context()
    before = context.reducer
    context.reducer = Reducer()
    try:
        sender.send(5)
        raw = receiver.recv_bytes()
        assert raw[:2] == b"\x80\x02"
        sender.send_bytes(raw)
        assert receiver.recv() == ("mine", 5)
    finally:
        context.reducer = before


# --- other processes ---


def echo(connection, other):
    other.close()  # a forked child has it, too
    while True:
        try:
            connection.send(connection.recv())
        except EOFError:
            return


def test_a_child_answers(context):
    here, there = context.Pipe()
    child = context.Process(target=echo, args=(there, here))
    child.start()
    there.close()
    for obj in ("hello", list(range(1000)), b"x" * 300_000):
        here.send(obj)
        assert here.recv() == obj
    here.close()
    child.join()
    assert child.exitcode == 0


def begin_a_message(connection):
    os.write(connection.fileno(), struct.pack("!i", 1000) + b"half of it")
    stay()


def hold(connection):
    stay()


def test_the_end_of_a_killed_sender_is_seen_at_once(context):
    for target in (begin_a_message, hold):
        here, there = context.Pipe()
        child = context.Process(target=target, args=(there,))
        child.start()
        there.close()
        child.kill()
        with pytest.raises((EOFError, OSError)):
            here.recv()
        with pytest.raises(OSError):
            for _ in range(100):
                here.send(b"x" * 100_000)
        child.join()
        here.close()


def send_much(connection, other):
    other.close()
    connection.send_bytes(b"x" * (64 << 20))


def test_a_sender_whose_receiver_is_gone_is_told(context):
    here, there = context.Pipe()
    child = context.Process(target=send_much, args=(there, here))
    child.start()
    there.close()
    assert here.poll(20)
    here.close()
    child.join(20)
    assert child.exitcode == 1  # BrokenPipeError or ConnectionResetError


def test_no_descriptor_is_left_open(no_descriptor_stays_behind):
    for duplex in (True, False):
        Pipe(duplex)
        a, b = Pipe(duplex)
        a.close()
        b.close()
    with Listener() as listener, Client(listener.address), listener.accept():
        pass


# --- waiting ---


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


# --- listeners ---


def test_a_listener_takes_its_file_along(tmp_path):
    path = str(tmp_path / "socket")
    with Listener(path) as listener:
        assert os.path.exists(path)
        assert listener.address == path
        assert listener.last_accepted is None
        with pytest.raises(OSError):
            Listener(path)
    assert not os.path.exists(path)
    with pytest.raises(OSError, match="listener is closed"):
        listener.accept()
    listener.close()
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        Client(path)
    other = Listener(path)
    os.unlink(path)
    other.close()


def test_the_file_of_a_listener_goes_with_its_process(tmp_path):
    path = tmp_path / "socket"
    done = run_python(f"""
        import forkful, warnings
        from forkful.connection import Listener
        warnings.simplefilter("ignore", ResourceWarning)
        listener = Listener({str(path)!r})
        child = forkful.Process(target=int)
        child.start()
        child.join()
        import os
        print(os.path.exists({str(path)!r}))
    """)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert not path.exists()


def test_an_abstract_socket_has_no_file():
    name = f"\0forkful-test-{os.getpid()}"
    with Listener(name) as listener, Client(listener.address) as client:
        with listener.accept() as accepted:
            client.send(1)
            assert accepted.recv() == 1
    with Listener(name), Client(name):
        pass


@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX"])
def test_an_address_of_its_own_is_found(family):
    with Listener(family=family) as listener, Client(listener.address, family) as client:
        with listener.accept() as accepted:
            accepted.send(listener.address)
            assert client.recv() == listener.address
        if family == "AF_INET":
            assert listener.last_accepted[0] == "127.0.0.1"


def test_arguments_that_are_none_are_named(tmp_path):
    with pytest.raises(TypeError, match="byte string, not str"):
        Listener(authkey="text")
    with pytest.raises(TypeError, match="byte string, not str"):
        Client(str(tmp_path / "x"), authkey="text")
    for family in ("AF_PIPE", "bogus"):
        with pytest.raises(ValueError, match=f"Family {family} is not recognized"):
            Listener(family=family)
    with pytest.raises(ValueError, match="is not recognized"):
        Listener(r"\\.\pipe\name")
    for address in (5, b"bytes", ["localhost", 0]):
        with pytest.raises(ValueError, match="address type of"):
            Client(address)
    for function in (forkful.connection.deliver_challenge, forkful.connection.answer_challenge):
        with pytest.raises(ValueError, match="Authkey must be bytes"):
            function(None, "text")
    with pytest.raises(ValueError, match="unsupported digest 'sha1'"):
        forkful.connection.deliver_challenge(None, b"key", "sha1")


def test_objects_go_as_xml():
    from forkful.connection import XmlClient, XmlListener

    with XmlListener() as listener:
        client = XmlClient(listener.address)
        accepted = listener.accept()
        client.send([1, "two", None, {"three": 4.5}])
        assert accepted.poll(20)
        assert accepted.recv() == [1, "two", None, {"three": 4.5}]
        accepted.send("back")
        assert b"<string>back</string>" in client.recv_bytes()
        client.close()
        accepted.close()


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
    with pytest.raises(OSError):
        sender.send(1)
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
