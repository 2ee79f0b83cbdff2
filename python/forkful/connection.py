"""Pipes and network connections."""

from __future__ import annotations

from forkful import later

__all__ = [
    "Client",
    "Connection",
    "Listener",
    "Pipe",
    "wait",
]

Client = later.call("Client")
Connection = later.kind("Connection")
Listener = later.kind("Listener")
Pipe = later.call("Pipe")
wait = later.call("wait")
