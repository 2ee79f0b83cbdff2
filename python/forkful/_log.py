"""The logger of the family's processes, which costs nothing until somebody asks for it."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any

__all__ = ["debug", "get_logger", "info", "log_to_stderr", "sub_debug", "sub_warning"]

SUBDEBUG = 5
SUBWARNING = 25

LOGGER_NAME = "multiprocessing"
DEFAULT_LOGGING_FORMAT = "[%(levelname)s/%(processName)s] %(message)s"

_logger: logging.Logger | None = None
_log_to_stderr = False
# The name of this process; the module `process`, which knows it, sets this.
process_name: Callable[[], str] = "MainProcess".format


def get_logger() -> logging.Logger:
    """The logger of the family's processes; it has no handler of its own."""
    global _logger
    if _logger is None:
        import logging

        logging.addLevelName(SUBDEBUG, "SUBDEBUG")
        logging.addLevelName(SUBWARNING, "SUBWARNING")
        _logger = logging.getLogger(LOGGER_NAME)
        _logger.propagate = False
        _logger.addFilter(_name_process)
    return _logger


def _name_process(record: logging.LogRecord) -> bool:
    # logging itself asks only a module that is called multiprocessing.
    record.processName = process_name()
    return True


def log_to_stderr(level: int | str | None = None) -> logging.Logger:
    """get_logger() with one more handler, which writes to stderr.

    Args:
        level: The lowest level that is logged; by default what the logger has.
    Raises:
        ValueError: No such level.
    """
    global _log_to_stderr
    import logging

    logger = get_logger()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(DEFAULT_LOGGING_FORMAT))
    logger.addHandler(handler)
    if level:
        logger.setLevel(level)
    _log_to_stderr = True
    return logger


def _log(level: int, message: str, args: tuple[Any, ...]) -> None:
    if _logger is not None:
        _logger.log(level, message, *args, stacklevel=3)


def sub_debug(msg: str, *args: Any) -> None:
    """Log at SUBDEBUG, if anybody has asked for the logger."""
    _log(SUBDEBUG, msg, args)


def debug(msg: str, *args: Any) -> None:
    """Log at DEBUG, if anybody has asked for the logger."""
    _log(10, msg, args)


def info(msg: str, *args: Any) -> None:
    """Log at INFO, if anybody has asked for the logger."""
    _log(20, msg, args)


def sub_warning(msg: str, *args: Any) -> None:
    """Log at SUBWARNING, if anybody has asked for the logger."""
    _log(SUBWARNING, msg, args)
