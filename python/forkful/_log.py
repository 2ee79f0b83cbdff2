"""The logger of the family's processes, which costs nothing until somebody asks for it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "debug",
    "get_logger",
    "info",
    "log_to_stderr",
    "name_records",
    "sub_debug",
    "sub_warning",
]

SUBDEBUG = 5
SUBWARNING = 25

LOGGER_NAME = "multiprocessing"
DEFAULT_LOGGING_FORMAT = "[%(levelname)s/%(processName)s] %(message)s"

_logger: logging.Logger | None = None
_log_to_stderr = False
# The name of this process; the module `process`, which knows it, sets this.
process_name: Callable[[], str] = "MainProcess".format
_FIRST_NAME = "MainProcess"
_record_class: object = None  # whose records are named


def get_logger() -> logging.Logger:
    """The logger of the family's processes; it has no handler of its own."""
    global _logger
    if _logger is None:
        import logging

        logging.addLevelName(SUBDEBUG, "SUBDEBUG")
        logging.addLevelName(SUBWARNING, "SUBWARNING")
        _logger = logging.getLogger(LOGGER_NAME)
        _logger.propagate = False
        name_records()
    return _logger


def name_records() -> None:
    """Where logging is imported, have the records of all loggers say this process's name.

    logging itself asks only a module that is called multiprocessing. Why the class, and no factory
    of records: programs set factories of their own, at any time, and these make such records too.
    """
    global _record_class
    kind: Any = getattr(sys.modules.get("logging"), "LogRecord", None)
    if kind is None or kind is _record_class:
        return
    _record_class = kind
    plain = kind.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        # Another name is that of a process which the standard package has started.
        if self.processName == _FIRST_NAME:
            self.processName = process_name()

    __init__.__wrapped__ = plain  # type: ignore[attr-defined]
    kind.__init__ = __init__


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
