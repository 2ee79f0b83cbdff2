"""A folder of temporary files for a process and its children."""

from __future__ import annotations

from forkful import _finalize, _log, process

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["get_temp_dir"]

# Lower than that of whatever has files in it.
_PRIORITY = -100


def _remove(rmtree: Any, folder: str, config: dict[str, Any]) -> None:
    rmtree(folder, ignore_errors=True)
    # A program may run the finalizers and go on; what it starts then needs another one.
    if config.get("tempdir") == folder:
        del config["tempdir"]


def get_temp_dir() -> str:
    """A folder that only this user can enter; removed when the process that made it ends.

    Children of a process that has one use the same.

    Raises:
        OSError: None can be made.
    """
    config = process.current_process()._config
    folder: str | None = config.get("tempdir")
    if folder is None:
        import shutil
        import tempfile

        folder = tempfile.mkdtemp(prefix="pymp-")
        _log.info("created temp directory %s", folder)
        _finalize.Finalize(
            None, _remove, args=(shutil.rmtree, folder, config), exitpriority=_PRIORITY
        )
        config["tempdir"] = folder
    return folder
