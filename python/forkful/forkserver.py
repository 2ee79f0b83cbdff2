"""Start method forkserver: a process that was started once forks itself for each start.

    this process ──number, descriptors──► server ──clone──► child of this process: reads its letter
                 ◄────number, pid────────

The server is a child of the process that asks, and goes with it; so do its children, which are
clones of the server and children of the process that asks: nothing of them goes through the server
once they are started. Who has the one end of an unnamed pair of sockets may ask, nobody else can;
and each child proves by its ticket that it is the one which was invited. The server is a member of
the family, so that what a preloaded module makes (a Lock, say) is the family's.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import os
import sys

from forkful import _core, _finalize, _log, popen_fork, popen_spawn_posix, process, spawn
from forkful._child import letter, main_file
from forkful._child.descriptors import file_of
from forkful._child.ending import exit_code_of
from forkful._child.signed import MAXFDS_TO_SEND, read_signed, write_signed  # noqa: F401

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any, NoReturn

__all__ = [
    "connect_to_new_process",
    "ensure_running",
    "get_inherited_fds",
    "set_forkserver_preload",
]

_LOOK_MS = 500  # a guess: how often a server that does not answer is looked at
_LOOKS = 4  # so often it is seen stopped before it is replaced
_NUMBER_BYTES = 128  # and the name of a module
_MOST_DESCRIPTORS = 253  # of one message
_INT_BYTES = 4
_CANNOT_CLONE = -1  # in place of an errno


_noted = _thread._local()  # the child that this thread was answered of, until it is known


class ServerEnded(OSError):
    """The server has gone before it had answered; no child came of the request."""


class CannotClone(Exception):
    """The server has threads, which a clone would not have, or counts processes anew."""


class _ServerPopen(popen_spawn_posix.Popen):
    """The server, as the process that asks it holds it."""

    def __init__(self, socket_fd: int, arguments: str) -> None:
        self._fds = [socket_fd]
        self._arguments = arguments
        self.finalizer = None
        self._begin((True, False, b"ForkServer"), [], _core.gather(list)[1])

    def _command(self, letter: int, tracker_fd: int | None) -> list[bytes | str]:
        socket_fd = self._fds[-1] if tracker_fd is None else self._fds[-2]
        call = f"main({socket_fd}, {letter}, {self._arguments})"
        return spawn.command_that_runs(f"from {{}}.forkserver import main; {call}")


class ForkServer:
    """The server of this process, which is started when it is first needed.

    Attributes:
        _forkserver_pid: Its process id, or None.
        _forkserver_address: None: it has no address.
    """

    def __init__(self) -> None:
        self._forkserver_address: str | None = None
        self._forkserver_authkey: bytes | None = None
        self._inherited_fds: list[int] | None = None
        self._preload_modules = ["__main__"]
        self._is_main_preloaded = False
        self._socket: socket | None = None
        self._forget()

    def _forget(self) -> None:
        """In a forked child: the server is the parent's."""
        self._forkserver_pid: int | None = None
        self._server: _ServerPopen | None = None
        self._drop_socket()
        self._file: tuple[int, int] | None = None  # which that is
        self._user: tuple[object, ...] | None = None  # as which the server was started
        # One request at a time; a signal's handler may make one in the midst of another.
        self._lock = _thread.RLock()
        self._last = 0
        self._answers: dict[int, tuple[int, int]] = {}
        self._given_up: set[int] = set()
        self._strays: list[_core.Child] = []

    # --- what programs call ---

    def set_forkserver_preload(self, modules_names: list[str]) -> None:
        """What the server imports before it forks, as far as that can be imported.

        It is too late where the server runs already. `__main__` stands for the main module.

        Raises:
            TypeError: It is no list of names.
        """
        if not all(type(each) is str for each in modules_names):
            raise TypeError("module_names must be a list of strings")
        self._preload_modules = list(modules_names)
        self._is_main_preloaded = "__main__" in modules_names

    def get_inherited_fds(self) -> list[int] | None:
        """What a child of a server was handed; None in other processes."""
        return self._inherited_fds

    def connect_to_new_process(self, fds: list[int]) -> NoReturn:
        """Not there: a child of the server is told what to be by a letter of forkful's.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "connect_to_new_process() has no counterpart in forkful: "
            "start a Process of get_context('forkserver')"
        )

    def ensure_running(self) -> None:
        """Start the server unless it runs.

        Raises:
            OSError: There is no room for a process.
        """
        with self._lock:
            if self._server is not None:
                # One of before this process has changed its user would start that user's children.
                same = self._user == _user()
                if same and self._owns_socket() and self._server.poll() is None:
                    return
                self._stop()
            self._boot()

    def _stop(self) -> None:
        """End the server, in whatever state it is."""
        # First, so that a thread which waits for its answer, and has the lock, waits no longer.
        may_kill = True
        if (server := self._server) is not None:
            try:
                server.kill()
            except PermissionError:
                # This process has changed its user; the server goes when its socket is closed.
                may_kill = False
        with self._lock:
            server, self._server, self._forkserver_pid = self._server, None, None
            self._drop_socket()
            if server is None:
                return
            while may_kill and server.poll() is None:
                server._await_end(1)
            server.close()

    def _owns_socket(self) -> bool:
        """False where there is none, or the program has closed it."""
        return self._socket is not None and file_of(self._socket.fileno()) == self._file

    def _drop_socket(self) -> None:
        line, self._socket = self._socket, None
        if line is None:
            return
        if file_of(line.fileno()) != self._file:
            line.detach()  # the number is the program's
        line.close()

    # --- starting it ---

    def _boot(self) -> None:
        import _socket

        data = spawn.get_preparation_data("ignore")
        script = data.get("init_main_from_path")
        main_path = script if self._is_main_preloaded else None
        preload = self._preload_modules
        if not self._is_main_preloaded:
            preload = [each for each in preload if each != "__main__"]
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        fd = letter.above_streams(theirs.detach())
        try:
            path = [each for each in data["sys_path"] if type(each) is str]
            arguments = f"{preload!r}, {main_path!r}, {path!r}, {script!r}"
            self._server = _ServerPopen(fd, arguments)
        except BaseException:
            ours.close()
            raise
        finally:
            os.close(fd)
        ours.setblocking(False)
        self._socket, self._file = ours, file_of(ours.fileno())
        self._user = _user()
        self._forkserver_pid = self._server.pid
        _finalize.Finalize(None, self._stop, exitpriority=-100)

    # --- asking it ---

    def start_child(self, descriptors: list[int], module: bytes = b"") -> int:
        """The pid of a new child, which has the descriptors.

        Args:
            module: What the server is to have imported before, for all children from then on.
        Raises:
            ServerEnded: It was killed, or it was stopped and is gone by now.
            CannotClone: It cannot be cloned.
            OSError: There is no room for a process.
        """
        with self._lock:
            self._reap_strays()
            self.ensure_running()
            self._last += 1
            number = self._last
            try:
                request = b"%d %b" % (number, module)
                if self._send(request, descriptors) and self._await_answer(number):
                    return self._take_answer(number)
            except BaseException:
                if number in self._answers:
                    self._take_answer(number)
                # An answer that comes later tells of a child that finds its place withdrawn.
                self._given_up.add(number)
                raise
            self._stop()
            raise ServerEnded(
                "the fork server has ended before it had answered; what it has to say is on stderr"
            )

    def _take_answer(self, number: int) -> int:
        pid, error = self._answers[number]
        _noted.pid = pid
        del self._answers[number]
        if error == _CANNOT_CLONE:
            raise CannotClone
        if error != 0:
            raise OSError(error, f"the fork server cannot fork: {os.strerror(error)}")
        return pid

    def _send(self, message: bytes, descriptors: list[int]) -> bool:
        import _socket

        numbers = b"".join(fd.to_bytes(_INT_BYTES, sys.byteorder) for fd in descriptors)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)]
        while self._socket is not None:
            try:
                self._socket.sendmsg([message], rights, _socket.MSG_NOSIGNAL)
                return True
            except BlockingIOError:
                if not self._await(writing=True):
                    return False
            except (BrokenPipeError, ConnectionError):
                return False
        return False

    def _await_answer(self, number: int) -> bool:
        while number not in self._answers:
            if self._socket is None:
                return False
            try:
                answer = self._socket.recv(_NUMBER_BYTES)
            except BlockingIOError:
                if not self._await(writing=False, number=number):
                    return False
                continue
            except ConnectionError:
                return False
            if not answer:
                return False
            its, pid, error = map(int, answer.split())
            if its in self._given_up:
                self._given_up.discard(its)
                if pid > 0:
                    self._strays.append(_core.Child(pid, 0))
            else:
                self._answers[its] = (pid, error)
        return True

    def _await(self, writing: bool, number: int = 0) -> bool:
        """Wait until the socket is ready, or the answer is there; False where the server is gone.

        A signal's handler that starts a child in the midst of this takes what comes, for both.
        """
        import select

        server, line = self._server, self._socket
        if server is None or line is None:
            return False
        stopped = 0
        while True:
            poller = select.poll()
            poller.register(line, select.POLLOUT if writing else select.POLLIN)
            if (fd := server._child.fileno()) >= 0:
                poller.register(fd, select.POLLIN)
            ready = dict(poller.poll(_LOOK_MS))
            if line.fileno() in ready or number in self._answers:
                return True
            if server.poll() is not None:
                return False
            stopped = stopped + 1 if not ready and _is_stopped(server.pid) else 0
            if stopped == _LOOKS:
                # Nobody may be left who continues it, and others wait for their children.
                server.kill()

    def _reap_strays(self) -> None:
        self._strays = [child for child in self._strays if child.poll() is None]


def _is_stopped(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False


def _user() -> tuple[object, ...]:
    """Whose this process is, and with what groups."""
    return os.getresuid(), os.getresgid(), os.getgroups()


def start_child(descriptors: list[int], module: bytes = b"") -> int:
    """As ForkServer.start_child(), by the server of this process; the child is noted."""
    return _forkserver.start_child(descriptors, module)


def forget_child() -> int:
    """The child that start_child() has noted in this thread, or 0; once."""
    pid: int = getattr(_noted, "pid", 0)
    _noted.pid = 0
    return pid


# --- the server ---


def main(
    listener_fd: int,
    alive_r: int,
    preload: list[str],
    main_path: str | None = None,
    sys_path: list[str] | None = None,
    script: str | None = None,
) -> None:
    """The life of a server.

    Args:
        listener_fd: Its end of the pair of sockets.
        alive_r: Its letter.
        preload: What it imports before it serves.
        main_path: Where the main module lies, if it is to be run here.
        sys_path: Of the process that asks.
        script: What its children will run as their main module.
    """
    before = _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    sentinel = spawn._take_place(alive_r)
    for fd in (alive_r, sentinel):
        if fd is not None:
            os.close(fd)
    from forkful import _fork

    if sys_path is not None:
        sys.path[:] = sys_path
    _preload(preload, main_path)
    if script is not None:
        main_file.compile_ahead(script)
    _fork.close_stdin()
    import _socket

    import forkful.reduction  # noqa: F401  # what each child needs

    if _core.count_threads() > 1:
        _end_threads()
    # Its parent, which has asked for another namespace, would know its clones by other numbers.
    cannot_clone = _core.count_threads() > 1 or os.getppid() == 0
    if cannot_clone:
        _log.info("what is preloaded keeps threads, or processes count anew: children are spawned")
    line = _socket.socket(fileno=listener_fd)
    while (request := _next_request(line)) is not None:
        number, module, handed = request
        _import(module)
        pid, error = _clone() if not cannot_clone else (0, _CANNOT_CLONE)
        if (pid, error) == (0, 0):
            line.close()
            _signal.signal(_signal.SIGINT, before)
            popen_fork.live(lambda handed=handed: _be_child(handed))  # type: ignore[misc]
        for fd in handed:
            os.close(fd)
        try:
            line.send(b"%s %d %d" % (number, pid, error), _socket.MSG_NOSIGNAL)
        except OSError:
            return


def _import(module: bytes) -> None:
    """Have what a worker runs here already: a child that has to import takes ten milliseconds."""
    name = module.decode()
    if not name or name in sys.modules:
        return
    try:
        __import__(name)
    except ImportError:
        pass  # the child comes to it as well, and says so


def _next_request(line: socket) -> tuple[bytes, bytes, list[int]] | None:
    """The next request: its number, a module that the child needs, descriptors.

    None: the process that asks is gone.
    """
    import _socket

    _core.await_readable(line.fileno())
    room = _socket.CMSG_SPACE(_MOST_DESCRIPTORS * _INT_BYTES)
    request, rights, _, _ = line.recvmsg(_NUMBER_BYTES, room)
    if not request:
        return None
    number, _, module = request.partition(b" ")
    numbers = b"".join(data for _, _, data in rights)
    starts = range(0, len(numbers), _INT_BYTES)
    handed = [int.from_bytes(numbers[at : at + _INT_BYTES], sys.byteorder) for at in starts]
    return number, module, handed


def _clone() -> tuple[int, int]:
    """The pid of a clone, 0 in that one, and the errno where there is none."""
    try:
        return _core.fork_sibling(), 0
    except OSError as refused:
        return 0, refused.errno or 1


def _preload(names: list[str], main_path: str | None) -> None:
    this: Any = process.current_process()
    if main_path is not None:
        this._inheriting = True
        try:
            spawn.import_main_path(main_path)
        finally:
            del this._inheriting
    for name in names:
        try:
            __import__(name)
        except ImportError:
            pass
    from forkful import _fork

    try:
        _fork.flush_std_streams()  # or each child would say it once more
    except OSError:
        pass  # they find so themselves


def _end_threads() -> None:
    """Fork once: a library's handlers of forks end its threads then, as a clone calls none."""
    pid = _core.fork(True, False, b"ForkServer")
    if pid == 0:
        os._exit(0)
    child = _core.Child(pid, _core.started())
    while child.poll() is None:
        _core.await_readable(child.fileno())


def _be_child(handed: list[int]) -> int:
    """In a clone: become what the letter says; the exit code."""
    letter_fd, *others = handed
    for fd in handed:
        os.set_inheritable(fd, False)
    ticket, parent, passed, installed = letter.read(letter_fd)
    family = len(others) - len(passed)
    _core.accept(ticket, others[:family])
    _forkserver._inherited_fds = others[family:]
    if installed:
        from forkful._run.install import install

        install()
    try:
        return spawn._main(letter_fd, letter.open_parent(parent))
    except SystemExit as error:
        return exit_code_of(error)


_forkserver = ForkServer()
os.register_at_fork(after_in_child=_forkserver._forget)
ensure_running = _forkserver.ensure_running
get_inherited_fds = _forkserver.get_inherited_fds
connect_to_new_process = _forkserver.connect_to_new_process
set_forkserver_preload = _forkserver.set_forkserver_preload
