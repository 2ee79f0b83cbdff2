"""The public modules of the package. Every other module's name begins with an underscore."""

from __future__ import annotations

__all__ = ["MIRRORED", "OURS"]

# Those of multiprocessing that are there, under its names: install() has them stand in for it.
MIRRORED = frozenset(
    {
        "connection",
        "context",
        "dummy",
        "dummy.connection",
        "heap",
        "managers",
        "pool",
        "forkserver",
        "popen_fork",
        "popen_forkserver",
        "popen_spawn_posix",
        "popen_spawn_win32",
        "process",
        "queues",
        "reduction",
        "resource_sharer",
        "resource_tracker",
        "shared_memory",
        "sharedctypes",
        "spawn",
        "synchronize",
        "util",
    }
)
# Those that multiprocessing has not: `futures` stands in for concurrent.futures.process.
OURS = frozenset({"futures"})
