"""How a child begins and ends beside its function: its threads, and what its exit code is."""

from __future__ import annotations

import _frozen_importlib
import _signal  # type: ignore[import-not-found]
import _thread
import os
import sys
from io import TextIOWrapper

from forkful import _fork

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

__all__ = [
    "can_print_tracebacks",
    "await_threads",
    "end_forked",
    "exit_code_of",
    "exitcode_to_name",
    "live_as_worker",
    "make_whole",
    "print_error",
]

# The first of several names of a signal, as signal.Signals has it, which takes 1 ms to import.
exitcode_to_name = {
    -number: "-" + name
    for name, number in sorted(vars(_signal).items(), reverse=True)
    if name.startswith("SIG") and not name.startswith("SIG_")
}


# Whose threads a process waits for at its end: modules, and where each has them.
_AWAITED = {
    "concurrent.futures.thread": "_threads_queues",
    "concurrent.futures.process": "_threads_wakeups",
    "forkful.futures": "_threads_wakeups",
}


def make_whole() -> None:
    """In a child that was forked: the thread that has forked is its main thread, and the only one.

    Where threading knew that thread only by its looks, or an executor waits for it at the end, the
    child would end in an error.
    """
    threading = sys.modules.get("threading")
    if threading is None:
        return  # whoever imports it later makes this the main thread
    thread = threading.main_thread()
    thread._set_native_id()
    if getattr(thread, "_tstate_lock", thread) is None:  # before Python 3.13
        thread._set_tstate_lock()
    for module, threads in _AWAITED.items():
        getattr(sys.modules.get(module), threads, {}).clear()


def await_threads() -> None:
    """Wait for the threads that are no daemons, as the interpreter does at its end."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()


def print_error() -> None:
    """Print the exception that is being handled, as traceback.print_exc() does.

    By the interpreter itself where stderr is a plain file: to import traceback takes 6 ms.
    """
    error = sys.exc_info()
    is_plain = type(sys.stderr) is TextIOWrapper and not sys.stderr.closed
    if (is_plain and not _is_loaded("traceback")) or not can_print_tracebacks():
        return sys.__excepthook__(*error)
    import traceback

    traceback.print_exception(*error)


def can_print_tracebacks() -> bool:
    """Whether traceback and what it imports can be imported without waiting for another thread.

    A child that was forked in the midst of another thread's import has the lock of a module whose
    thread it has not, and would wait for ever.
    """
    if all(map(_is_loaded, ("traceback", "linecache", "tokenize"))):
        return True
    locks = list(getattr(_frozen_importlib, "_module_locks", {}).values())
    owners = {getattr(lock(), "owner", None) for lock in locks}
    return owners <= {None, _thread.get_ident()}


def _is_loaded(name: str) -> bool:
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return module is not None and not getattr(spec, "_initializing", False)


def exit_code_of(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return int.__int__(error.code)  # not by what a subclass makes of it
    sys.stderr.write(str(error.code) + "\n")
    return 1


def end_forked(error: BaseException | None) -> NoReturn:
    """A child that a pool's task or callback has forked, and that comes out of it, ends here.

    It is neither the worker nor the pool's owner. It ends with 0 when the function has returned,
    and as any program does that raises.
    """
    code = 0
    if isinstance(error, SystemExit):
        code = exit_code_of(error)
    elif error is not None:
        sys.__excepthook__(type(error), error, error.__traceback__)
        code = 1
    try:
        _fork.flush_std_streams()
    except OSError:
        code = 1
    finally:
        os._exit(code & 0xFF)


def live_as_worker(life: Callable[[], object]) -> None:
    """Call what a pool's worker does. A child that something in it has forked ends here."""
    worker = os.getpid()
    try:
        life()
    except BaseException as error:
        if os.getpid() != worker:
            end_forked(error)
        if isinstance(error, KeyboardInterrupt):
            # The parent has had it as well, and says what there is to say.
            raise SystemExit(1) from None
        raise
    if os.getpid() != worker:
        end_forked(None)
