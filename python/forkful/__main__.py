"""`python -m forkful` and the command `forkful`; see forkful/_run/command.py."""

from __future__ import annotations

import sys

from forkful._run.command import main

__all__ = ["main"]

# Why not sys.exit(0): under -i the interpreter would show it as an error.
if __name__ == "__main__" and (code := main()):
    sys.exit(code)
