"""`%load_ext forkful`: in a notebook, or in IPython, multiprocessing is forkful from then on."""

from __future__ import annotations

from forkful._run.install import install, uninstall

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(ipython: object) -> None:
    """What IPython calls for %load_ext forkful."""
    install()


def unload_ipython_extension(ipython: object) -> None:
    """What IPython calls for %unload_ext forkful."""
    uninstall()
