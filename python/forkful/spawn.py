"""Start method spawn: a child is a new interpreter, which is told what to be and whom to serve.

The command of a child loads this package and calls spawn_main(), which reads the letter (see
_child/letter.py): first it takes its place in the family, so that it ends with its elders whatever
the program's modules do then; then it prepares itself, runs the main module if there is one, and
at last the process object.
"""

from __future__ import annotations

import os
import sys

from forkful import _core, _log, context, process
from forkful._child import letter, main_file

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from os import PathLike
    from types import ModuleType
    from typing import Any, NoReturn

__all__ = [
    "_main",
    "freeze_support",
    "get_command_line",
    "get_executable",
    "get_preparation_data",
    "import_main_path",
    "set_executable",
]

WINEXE = False
WINSERVICE = False

_FORKING_OPTION = "--multiprocessing-fork"

# --- what is executed ---


def set_executable(exe: str | bytes | PathLike[str] | PathLike[bytes] | None) -> None:
    """The interpreter that spawned children run; None: none, they cannot be started."""
    global _python_exe
    _python_exe = None if exe is None else os.fsencode(exe)


def get_executable() -> bytes | None:
    """The interpreter that spawned children run."""
    return _python_exe


_python_exe: bytes | None = None
set_executable(sys.executable or None)


def is_forking(argv: list[str]) -> bool:
    """Whether a command line is that of a child: of a frozen program, which is its own child."""
    return argv[1:2] == [_FORKING_OPTION]


def freeze_support() -> None:
    """In a child of a frozen program, be that child, and end; otherwise do nothing."""
    if not is_forking(sys.argv):
        return
    words = dict(word.split("=", 1) for word in sys.argv[2:])
    numbers: dict[str, Any] = {
        name: None if value == "None" else int(value) for name, value in words.items()
    }
    spawn_main(**numbers)
    sys.exit()


def get_command_line(**kwds: object) -> list[bytes | str]:
    """The command that starts a child: the interpreter, its options, and what it is to do.

    Raises:
        ValueError: No interpreter is known.
    """
    if getattr(sys, "frozen", False):
        words = [f"{name}={value!r}" for name, value in kwds.items()]
        return [sys.executable, _FORKING_OPTION, *words]
    arguments = ", ".join(f"{name}={value!r}" for name, value in kwds.items())
    call = f"from {{}}.spawn import spawn_main; spawn_main({arguments})"
    return [*command_that_runs(call), _FORKING_OPTION]


def command_that_runs(code: str) -> list[bytes | str]:
    """The command of an interpreter that loads this package and runs the code.

    Args:
        code: In it, {} stands for the package.
    Raises:
        ValueError: No interpreter is known.
    """
    from forkful._child.execute import interpreter_flags
    from forkful._child.prologue import package_here, prologue

    if getattr(sys, "frozen", False):
        # Such a program looks at what its commands begin with, and finds the package by itself.
        return [sys.executable, *interpreter_flags(), "-c", code.replace("{}", package_here())]
    exe = get_executable()
    if not exe:
        raise ValueError(
            "there is no interpreter to start a process with, as sys.executable is empty: "
            "name one by set_executable()"
        )
    before, package = prologue()
    return [exe, *interpreter_flags(), "-c", before + code.replace("{}", package)]


# --- in the child ---


def spawn_main(
    pipe_handle: int, parent_pid: int | None = None, tracker_fd: int | None = None
) -> NoReturn:
    """The whole life of a spawned child.

    Args:
        pipe_handle: The descriptor of its letter.
        parent_pid: Not used; there for the likeness to multiprocessing.
        tracker_fd: Where a program's own resource tracker listens, or None.
    """
    assert is_forking(sys.argv), "Not forking: spawn_main() is what a child's command calls"
    sentinel = _take_place(pipe_handle)
    if tracker_fd is not None:
        module = __import__("forkful.resource_tracker", fromlist=("x",))
        module._resource_tracker._adopt(tracker_fd)
    sys.exit(_main(pipe_handle, parent_sentinel=sentinel))


def _take_place(fd: int) -> int | None:
    """Become the member that the letter is for; the descriptor that tells of the parent's end."""
    try:
        ticket, parent, descriptors, _ = letter.read(fd)
        for each in (fd, *descriptors):
            os.set_inheritable(each, False)
        _core.accept(ticket)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"forkful: a process cannot start: {error}")
    return letter.open_parent(parent)


def _main(fd: int, parent_sentinel: int | None) -> int:
    """Read what the child is to be, be it, and return the exit code.

    Raises:
        Exception: What unpickling raises, or the main module.
    """
    from _pickle import load

    import forkful.reduction  # noqa: F401

    with open(fd, "rb") as file:
        this: Any = process.current_process()
        this._inheriting = True
        try:
            _prepare_as_told(load(file))
            child = load(file)
        except AttributeError as error:
            _core.note_missing(error)
            raise
        finally:
            del this._inheriting
    code: int = child._bootstrap(parent_sentinel)
    return code


def _prepare_as_told(data: dict[str, Any]) -> None:
    """prepare(); of a pool's workers the first one to fail shows what its main module raises."""
    untold = data.pop("untold", None)
    try:
        prepare(data)
    except Exception:
        if untold is None:
            raise
        untold.say(lambda: sys.excepthook(*sys.exc_info()))
        sys.exit(1)


# --- what a child is told besides ---

NO_GUARD = """
        An attempt has been made to start a new process before the
        current process has finished its bootstrapping phase.

        This probably means that you are not using fork to start your
        child processes and you have forgotten to use the proper idiom
        in the main module:

            if __name__ == '__main__':
                freeze_support()
                ...

        The "freeze_support()" line can be omitted if the program
        is not going to be frozen to produce an executable.

        To fix this issue, refer to the "Safe importing of main module"
        section in https://docs.python.org/3/library/multiprocessing.html

        Remedy: a child runs the main module once more, so put what starts
        processes under `if __name__ == '__main__':`, functions and classes
        above it."""


def _check_not_importing_main() -> None:
    if process.is_being_prepared():
        raise RuntimeError(NO_GUARD)


def get_preparation_data(name: str) -> dict[str, Any]:
    """What a child is to know of this process before it unpickles anything else.

    Args:
        name: The child's.
    Raises:
        RuntimeError: This process is a child that has not come to its function yet.
    """
    _check_not_importing_main()
    data: dict[str, Any] = {
        "log_to_stderr": _log._log_to_stderr,
        "authkey": process.current_process().authkey,
        "name": name,
        "sys_path": [process.ORIGINAL_DIR if path == "" else path for path in sys.path],
        "sys_argv": sys.argv,
        "orig_dir": process.ORIGINAL_DIR,
        "dir": os.getcwd(),
        "start_method": context.default_context.get_start_method(),
    }
    if process.ORIGINAL_DIR is None:
        data["sys_path"] = list(sys.path)
    if _log._logger is not None:
        data["log_level"] = _log._logger.getEffectiveLevel()
    data.update(_how_main_is_run(sys.modules["__main__"]))
    return data


def _how_main_is_run(main: ModuleType) -> dict[str, str]:
    spec = getattr(main, "__spec__", None)
    if getattr(spec, "name", None) is not None:
        return {"init_main_from_name": spec.name}  # type: ignore[union-attr]
    path = getattr(main, "__file__", None)
    if path is None or (path.startswith("<") and path.endswith(">")):
        return {}  # -c, a prompt, a notebook; or the standard input, which is read already
    if not os.path.isabs(path) and process.ORIGINAL_DIR is not None:
        path = os.path.join(process.ORIGINAL_DIR, path)
    return {"init_main_from_path": os.path.normpath(path)}


def runs_main(data: dict[str, Any]) -> bool:
    """Whether a child with such preparation data has what this process's main module defines."""
    name = data.get("init_main_from_name")
    if name is not None:
        return not _is_main_of_package(name)
    path = data.get("init_main_from_path")
    return path is not None and not _is_ipython(path)


def has_main_in_children() -> bool:
    """Whether children of this process have what its main module defines."""
    return runs_main(_how_main_is_run(sys.modules["__main__"]))


def _is_main_of_package(name: str) -> bool:
    return name.rpartition(".")[2] == "__main__"


def _is_ipython(path: str) -> bool:
    """Whether the main module is IPython, or a script that it alone can run."""
    name, ending = os.path.splitext(os.path.basename(path))
    return name == "ipython" or ending == ".ipy"


def _set_log_level(level: int) -> None:
    _log.get_logger().setLevel(level)


def _set_path(path: list[str]) -> None:
    sys.path = path


def _set_argv(argv: list[str]) -> None:
    sys.argv = argv


def _set_original_dir(path: str | None) -> None:
    process.ORIGINAL_DIR = path


# In the order in which they are done; what else the data has is not ours.
_STEPS: dict[str, Any] = {
    "name": lambda name: setattr(process.current_process(), "name", name),
    "authkey": lambda key: setattr(process.current_process(), "authkey", key),
    "log_to_stderr": lambda wanted: _log.log_to_stderr() if wanted else None,
    "log_level": _set_log_level,
    "sys_path": _set_path,
    "sys_argv": _set_argv,
    "dir": os.chdir,
    "orig_dir": _set_original_dir,
    "start_method": lambda name: context.default_context.set_start_method(name, force=True),
}

# Main modules that a child has had before the program's; they live on.
old_main_modules: list[ModuleType] = []


def prepare(data: dict[str, Any]) -> None:
    """Make this process what the data says, and run the main module where it says that.

    Raises:
        Exception: What the main module raises.
    """
    for key, step in _STEPS.items():
        if key in data:
            step(data[key])
    name, path = data.get("init_main_from_name"), data.get("init_main_from_path")
    if name is not None:
        _fixup_main_from_name(name)
    elif path is not None:
        _fixup_main_from_path(path)
    if not runs_main(data):
        # What it makes of its parent's classes, it could not name to that.
        _core.send_main_by_value()


def _fixup_main_from_name(mod_name: str) -> None:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    # What a package runs as its own main is not expected to be safe to import.
    if _is_main_of_package(mod_name) or getattr(spec, "name", None) == mod_name:
        return
    old_main_modules.append(main)
    main_file.run_module(mod_name)


def _fixup_main_from_path(main_path: str) -> None:
    main = sys.modules["__main__"]
    if _is_ipython(main_path) or getattr(main, "__file__", None) == main_path:
        return
    old_main_modules.append(main)
    main_file.run_file(main_path)


def import_main_path(main_path: str) -> None:
    """Run a script as __mp_main__, unless it is the main module already.

    Raises:
        Exception: What it raises.
    """
    _fixup_main_from_path(main_path)
