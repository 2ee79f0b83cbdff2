"""Whether a descriptor is still ours: a program may close it, and give its number away."""

from __future__ import annotations

import os

__all__ = ["file_of"]


def file_of(fd: int) -> tuple[int, int] | None:
    """Which file that is; None where there is none."""
    try:
        about = os.fstat(fd)
    except OSError:
        return None
    return about.st_dev, about.st_ino
