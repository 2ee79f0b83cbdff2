"""A folder of temporary files for a process and its children."""

from __future__ import annotations

from forkful import _finalize, _log, process

__all__ = ["get_temp_dir"]

# Lower than that of whatever has files in it.
_PRIORITY = -100


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
        _finalize.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=_PRIORITY)
        config["tempdir"] = folder
    return folder
