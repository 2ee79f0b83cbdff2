"""Pipes and network connections."""

from __future__ import annotations

from forkful import _later

__all__ = [
    "Client",
    "Connection",
    "Listener",
    "Pipe",
    "wait",
]

Client = _later.call("Client")
Connection = _later.kind("Connection")
Listener = _later.kind("Listener")
Pipe = _later.call("Pipe")
wait = _later.call("wait")
