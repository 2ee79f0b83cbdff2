"""dummy.connection: the connections' names on threads."""

from __future__ import annotations

import threading

import pytest
from forkful.dummy import connection


def test_a_pipe_between_threads():
    a, b = connection.Pipe()
    with a, b:
        obj = object()
        b.send(obj)
        assert a.poll()
        assert a.recv() is obj
        assert not a.poll()
        assert not a.poll(-1)
        assert not a.poll(0.01)
        threading.Timer(0.01, b.send_bytes, (b"x",)).start()
        assert a.poll(None)
        assert a.recv_bytes() == b"x"


def test_a_listener_and_its_clients():
    with connection.Listener(backlog=2) as listener:
        clients = [connection.Client(listener.address) for _ in range(2)]
        for number, client in enumerate(clients):
            client.send(number)
        for number in range(2):
            with listener.accept() as accepted:
                assert accepted.recv() == number
                accepted.send(-number)
        assert [client.recv() for client in clients] == [0, -1]
    with pytest.raises(OSError, match="listener is closed"):
        listener.accept()
