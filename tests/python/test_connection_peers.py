"""Listener and Client with other programs: the standard library's, and those that are silent."""

from __future__ import annotations

import multiprocessing.connection
import socket
import struct
import threading
import time

import forkful.connection
import pytest
from forkful import AuthenticationError
from forkful.connection import Client, Listener
from helpers import eventually, start_python

KEY = b"a key that both know"

STANDARD_CLIENT = """
    import sys
    from multiprocessing.connection import AuthenticationError, Client
    address = eval(sys.argv[1])
    try:
        with Client(address, authkey=eval(sys.argv[2])) as connection:
            connection.send({"pid": 1, "data": b"x" * 100_000})
            print(connection.recv(), flush=True)
    except AuthenticationError as error:
        print("AuthenticationError", flush=True)
"""

STANDARD_LISTENER = """
    import sys
    from multiprocessing.connection import AuthenticationError, Listener
    with Listener(eval(sys.argv[1]), authkey=eval(sys.argv[2])) as listener:
        print(repr(listener.address), flush=True)
        for _ in range(int(sys.argv[3])):
            try:
                with listener.accept() as connection:
                    connection.send(connection.recv())
                    print("served", flush=True)
            except AuthenticationError:
                print("AuthenticationError", flush=True)
"""


@pytest.fixture(params=["AF_INET", "AF_UNIX"])
def address(request, tmp_path):
    return ("localhost", 0) if request.param == "AF_INET" else str(tmp_path / "socket")


@pytest.mark.parametrize("key", [KEY, b"", None])
def test_a_standard_client_talks_to_our_listener(address, key):
    with (
        Listener(address, authkey=key) as listener,
        start_python(STANDARD_CLIENT, repr(listener.address), repr(key)) as client,
    ):
        with listener.accept() as connection:
            assert connection.recv() == {"pid": 1, "data": b"x" * 100_000}
            connection.send("from forkful")
            assert client.stdout.readline() == "from forkful\n"
        client.communicate()


def test_a_standard_client_with_another_key_is_refused_and_the_listener_goes_on(address):
    with Listener(address, authkey=KEY) as listener:
        with start_python(STANDARD_CLIENT, repr(listener.address), repr(b"wrong")) as client:
            with pytest.raises(AuthenticationError, match="another authkey"):
                listener.accept()
            assert client.stdout.readline() == "AuthenticationError\n"
            client.communicate()
        with start_python(STANDARD_CLIENT, repr(listener.address), repr(KEY)) as client:
            with listener.accept() as connection:
                connection.send(1)
            client.communicate()


def test_our_client_talks_to_a_standard_listener(address):
    with start_python(STANDARD_LISTENER, repr(address), repr(KEY), "2") as listener:
        where = eval(listener.stdout.readline())
        with pytest.raises(AuthenticationError, match="another authkey"):
            Client(where, authkey=b"wrong")
        assert listener.stdout.readline() == "AuthenticationError\n"
        with Client(where, authkey=KEY) as connection:
            connection.send(["to and fro", 2**70])
            assert connection.recv() == ["to and fro", 2**70]
        listener.communicate()


def messages_of(steps):
    """What a side of the handshake sends, with a peer that has the key."""
    sent = []
    ours, theirs = forkful.Pipe()

    class Noted:
        def send_bytes(self, message):
            sent.append(message)
            ours.send_bytes(message)

        def recv_bytes(self, most):
            return ours.recv_bytes(most)

    peer = threading.Thread(target=steps[1], args=(theirs, KEY))
    peer.start()
    steps[0](Noted(), KEY)
    peer.join()
    return sent


def test_two_of_ours_use_sha256_on_every_version():
    ours = forkful.connection
    assert messages_of((ours.deliver_challenge, ours.answer_challenge))[0].startswith(
        b"#CHALLENGE#{sha256}"
    )
    (answer,) = messages_of((ours.answer_challenge, ours.deliver_challenge))
    assert answer.startswith(b"{sha256}")
    assert len(answer) == len(b"{sha256}") + 32


def test_the_handshake_goes_with_the_interpreters_own_functions():
    ours, standard = forkful.connection, multiprocessing.connection
    for challenger, answerer in ((ours, standard), (standard, ours)):
        assert messages_of((challenger.deliver_challenge, answerer.answer_challenge))[-1] == (
            b"#WELCOME#"
        )


@pytest.mark.parametrize("digest", ["md5", "sha256", "sha384", "sha3_256", "sha3_384"])
def test_each_digest_that_is_allowed_is_answered(digest):
    challenge = b"{%s}" % digest.encode() + b"forty random bytes"
    response = forkful.connection._create_response(KEY, challenge)
    assert response.startswith(b"{%s}" % digest.encode())
    forkful.connection._verify_challenge(KEY, challenge, response)
    with pytest.raises(AuthenticationError, match="digest received was wrong"):
        forkful.connection._verify_challenge(KEY, challenge, response[:-1] + b"\0")


def test_an_old_peers_challenge_is_answered_by_md5():
    import hmac

    challenge = b"20 bytes, no digest."
    answer = forkful.connection._create_response(KEY, challenge)
    assert answer == hmac.new(KEY, challenge, "md5").digest()
    forkful.connection._verify_challenge(KEY, challenge, answer)
    for bad in (b"{sha1}" + b"x" * 20, b"{md5", b"nothing", b""):
        with pytest.raises(AuthenticationError, match="unsupported digest"):
            forkful.connection._create_response(KEY, bad)


def connect(listener: Listener) -> socket.socket:
    family = socket.AF_INET if isinstance(listener.address, tuple) else socket.AF_UNIX
    raw = socket.socket(family)
    raw.settimeout(20)
    raw.connect(listener.address)
    return raw


def ends(raw: socket.socket) -> bool:
    """Whether the other end closes it, after whatever it has sent."""
    try:
        while raw.recv(1000):
            pass
    except ConnectionResetError:
        pass
    return True


def served(listener: Listener, count: int = 1) -> threading.Thread:
    def serve():
        for _ in range(count):
            with listener.accept() as connection:
                connection.send(connection.recv())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("said", [b"", b"\0\0", b"\0\0\0\x20half of"])
def test_a_silent_client_keeps_nobody_waiting(address, said):
    with Listener(address, authkey=KEY, backlog=5, handshake_timeout=None) as listener:
        silent = [connect(listener) for _ in range(3)]
        for each in silent:
            each.sendall(said)
        thread = served(listener, 2)
        for _ in range(2):
            with Client(listener.address, authkey=KEY) as connection:
                connection.send("here")
                assert connection.recv() == "here"
        thread.join()
        for each in silent:
            each.close()


def test_a_silent_client_is_sent_away_at_its_deadline(address):
    with Listener(address, authkey=KEY, handshake_timeout=0.05) as listener:
        thread = served(listener)
        silent = connect(listener)
        assert ends(silent)
        with Client(listener.address, authkey=KEY) as connection:
            connection.send(5)
            assert connection.recv() == 5
        thread.join()
        silent.close()


def test_the_client_that_is_late_by_our_fault_is_not_sent_away(address):
    """Its answer was there in time; only nobody has called accept()."""
    with Listener(address, authkey=KEY, backlog=5, handshake_timeout=0.1) as listener:
        first = served(listener)
        patient = threading.Thread(target=Client, args=(listener.address, None, KEY))
        with Client(listener.address, authkey=KEY) as connection:
            patient.start()
            connection.send(1)
            assert connection.recv() == 1
            first.join()
        time.sleep(0.2)  # Why: the deadline passes, had it begun
        listener.accept().close()
        patient.join()


def test_those_that_wait_are_bounded(address):
    from forkful._connections.admission import MOST_PENDING

    with Listener(address, authkey=KEY, backlog=500, handshake_timeout=None) as listener:
        silent = [connect(listener) for _ in range(MOST_PENDING + 3)]
        thread = served(listener)
        with Client(listener.address, authkey=KEY) as connection:
            connection.send(1)
            assert connection.recv() == 1
        thread.join()
        pending = listener._admission._guests
        assert eventually(lambda: len(pending) <= MOST_PENDING)
        assert ends(silent[0])
        for each in silent:
            each.close()


GARBAGE = [
    b"GET / HTTP/1.1\r\n\r\n",
    struct.pack("!i", 257) + b"x" * 257,
    struct.pack("!i", -1) + struct.pack("!Q", 2**40),
    struct.pack("!i", -5),
    struct.pack("!i", 0x7FFFFFFF),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_before_the_handshake_is_refused(address, garbage):
    with Listener(address, authkey=KEY) as listener:
        raw = connect(listener)
        raw.sendall(garbage)
        with pytest.raises(OSError, match="bad message length"):
            listener.accept()
        assert ends(raw)
        raw.close()
        thread = served(listener)
        with Client(listener.address, authkey=KEY) as connection:
            connection.send("goes on")
            assert connection.recv() == "goes on"
        thread.join()


def test_nothing_is_unpickled_before_the_handshake(address):
    pickled = b"cos\nsystem\n(S'exit 1'\ntR."
    with Listener(address, authkey=KEY) as listener:
        raw = connect(listener)
        raw.sendall(struct.pack("!i", len(pickled)) + pickled)
        with pytest.raises(AuthenticationError, match="unsupported digest"):
            listener.accept()
        raw.close()


def test_one_that_goes_away_in_the_handshake_is_told(address):
    with Listener(address, authkey=KEY) as listener:
        connect(listener).close()
        with pytest.raises((EOFError, OSError)):
            listener.accept()


def test_a_listening_sockets_timeout_counts(address):
    with Listener(address, authkey=KEY) as listener:
        listener._listener._socket.settimeout(0.05)
        silent = connect(listener)
        with pytest.raises(TimeoutError):
            listener.accept()
        silent.close()


def test_a_client_says_where_there_is_no_handshake(address):
    with Listener(address) as listener:
        thread = threading.Thread(target=lambda: listener.accept().send_bytes(b"no challenge"))
        thread.start()
        with pytest.raises(AuthenticationError, match="expected a challenge"):
            Client(listener.address, authkey=KEY)
        thread.join()


def test_threads_accept_side_by_side(address):
    with Listener(address, authkey=KEY, backlog=50) as listener:
        threads = [served(listener, 5) for _ in range(4)]
        silent = connect(listener)

        def ask(number):
            with Client(listener.address, authkey=KEY) as connection:
                connection.send(number)
                answers.append(connection.recv())

        answers: list[int] = []
        clients = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for each in clients:
            each.start()
        for each in clients + threads:
            each.join()
        assert sorted(answers) == list(range(20))
        silent.close()


def accept_one(listener, answer):
    with listener.accept() as connection:
        connection.send((answer, connection.recv()))


def test_forked_children_accept_at_the_listener_of_their_parent(address):
    context = forkful.get_context("fork")
    with Listener(address, authkey=KEY, backlog=5) as listener:
        silent = connect(listener)
        listener._listener._socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()  # the silent one is this process's now
        listener._listener._socket.settimeout(None)
        children = [context.Process(target=accept_one, args=(listener, i)) for i in range(2)]
        for child in children:
            child.start()
        answers = []
        for i in range(2):
            with Client(listener.address, authkey=KEY) as connection:
                connection.send(i)
                answers.append(connection.recv())
        for child in children:
            child.join()
            assert child.exitcode == 0
        assert sorted(answer for answer, _ in answers) == [0, 1]
        silent.close()


def mutated(seeded, message):
    """The message with some of its bytes changed, dropped or added."""
    data = bytearray(message)
    for _ in range(seeded.randint(1, 4)):
        at = seeded.randrange(len(data) + 1)
        how = seeded.randrange(3)
        if how == 0:
            data[at : at + 1] = bytes([seeded.randrange(256)])
        elif how == 1:
            del data[at : at + seeded.randint(1, 8)]
        else:
            data[at:at] = seeded.randbytes(seeded.randint(1, 8))
    return bytes(data)


def test_no_bytes_of_a_client_bring_more_than_an_error(seeded):
    challenge = b"#CHALLENGE#{sha256}" + b"r" * 40
    answer = b"{sha256}" + b"d" * 32
    with Listener(("localhost", 0), authkey=KEY, handshake_timeout=None) as listener:
        for _ in range(300):
            said = b"".join(
                struct.pack("!i", len(each)) + each
                for each in (mutated(seeded, answer), mutated(seeded, challenge))
            )
            with connect(listener) as raw:
                raw.sendall(mutated(seeded, said))
                raw.shutdown(socket.SHUT_WR)
                with pytest.raises((AuthenticationError, EOFError, OSError)):
                    listener.accept()
        assert not listener._admission._guests


def test_no_bytes_of_a_server_bring_more_than_an_error(seeded):
    def answer():
        for said in saying:
            sock, _ = server.accept()
            with sock:
                sock.sendall(said)

    challenge = b"#CHALLENGE#{sha256}" + b"r" * 40
    saying = [
        mutated(seeded, struct.pack("!i", len(challenge)) + challenge + b"\0\0\0\x09#WELCOME#")
        for _ in range(200)
    ]
    with socket.create_server(("localhost", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        for _ in saying:
            with pytest.raises((AuthenticationError, EOFError, OSError)):
                Client(server.getsockname(), authkey=KEY)
        thread.join()
