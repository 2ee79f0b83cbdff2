"""`python -m forkful` and the command `forkful`; see forkful/_run/command.py."""

from __future__ import annotations

import sys

from forkful._run.command import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
