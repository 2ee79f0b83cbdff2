"""An arena that was made by a forkful of another memory layout is refused."""

from __future__ import annotations

import os
import subprocess
import sys

_ANSWER = """
import os, sys
import forkful
from forkful import _core

arena, liveness = (int(word) for word in sys.argv[1:])
try:
    _core.accept_invitation(arena, liveness, 1 << 16 | 1, 1)
except forkful.LayoutMismatch as error:
    print("LayoutMismatch:", error)
"""


def test_a_member_of_another_layout_is_refused_with_both_versions_named() -> None:
    arena, liveness = os.memfd_create("arena"), os.memfd_create("liveness")
    try:
        os.ftruncate(arena, 256 << 30)
        os.ftruncate(liveness, 1 << 15)
        os.pwrite(arena, b"forkful\0" + (4711).to_bytes(4, "little"), 65536 * 32)
        done = subprocess.run(
            [sys.executable, "-c", _ANSWER, str(arena), str(liveness)],
            pass_fds=(arena, liveness),
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        os.close(arena)
        os.close(liveness)
    assert done.stderr == ""
    assert done.stdout.startswith("LayoutMismatch:")
    assert "4711" in done.stdout
