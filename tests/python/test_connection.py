"""Pipe, Connection and wait(): messages between processes of a family."""

from __future__ import annotations

import array
import os
import struct
import threading

import forkful
import pytest
from forkful import BufferTooShort, Pipe
from forkful.connection import Client, Connection, Listener
from helpers import echo, run_python, stay


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
    for address, error in ((5, TypeError), (b"bytes", ValueError), (["localhost", 0], TypeError)):
        with pytest.raises(error, match="address type of"):
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
