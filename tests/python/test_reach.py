"""Who can reach a family's memory, and who cannot: what SECURITY.md says."""

from __future__ import annotations

import os
import subprocess
import sys

import forkful
import pytest
from helpers import open_descriptors, run_python

_NOBODY = 65534


def family_descriptors() -> dict[int, str]:
    forkful.Queue()  # there is a family from here on
    return {fd: file for fd, file in open_descriptors().items() if "forkful" in file}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_can_not_open_the_memory_of_a_family():
    paths = [f"/proc/{os.getpid()}/fd/{fd}" for fd in family_descriptors()]
    assert paths
    program = f"""
        import os
        os.setgroups([])
        os.setgid({_NOBODY})
        os.setuid({_NOBODY})
        for path in {paths}:
            try:
                os.open(path, os.O_RDONLY)
            except PermissionError:
                print("refused")
    """
    assert run_python(program).stdout.split() == ["refused"] * len(paths)


def test_an_executed_program_inherits_no_descriptor_of_the_family():
    descriptors = family_descriptors()
    executed = subprocess.run(
        [sys.executable, "-c", "import os; print(*os.listdir('/proc/self/fd'))"],
        close_fds=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    inherited = {int(fd) for fd in executed.stdout.split()}
    assert inherited >= {0, 1, 2}
    assert descriptors
    assert not inherited & set(descriptors)
