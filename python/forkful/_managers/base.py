"""BaseManager: starts a server, or connects to one, and makes objects in it."""

from __future__ import annotations

import os
import signal

from forkful import _finalize, _log, connection, process
from forkful._child import starting
from forkful._errors import ProcessError
from forkful._managers.messages import State, Token, dispatch
from forkful._managers.proxy import AutoProxy, BaseProxy, proxy_of_new
from forkful._managers.server import Server
from forkful._managers.wire import connect_with_patience, listener_client
from forkful.context import default_context

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    _M = TypeVar("_M", bound="BaseManager")

__all__ = ["BaseManager"]


class BaseManager:
    """Has objects in a server process, for processes here and on other machines.

        class Numbers(BaseManager): ...
        Numbers.register("counter", Counter)
        with Numbers() as manager:
            counter = manager.counter()  # a proxy, which can be sent to other processes

    A subclass is given its types by register(). The server ends with the process that has started
    it, however that ends.

    Args:
        address: Where the server listens, or is: a path, or (host, port); by default wherever.
        authkey: The key that server and clients share; by default this process's.
        serializer: "pickle", or "xmlrpclib".
        ctx: The context whose Process runs the server.
        shutdown_timeout: How long the server has to end, in seconds, before it is terminated, and
            then again before it is killed.
    Raises:
        TypeError: authkey is no bytes.
        KeyError: No such serializer.
    """

    _registry: dict[str, tuple[Any, Any, Any, Any]] = {}
    _Server: type[Server] = Server
    _process: process.BaseProcess | None = None
    shutdown: _finalize.Finalize  # from start() on

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: Any = None,
        *,
        shutdown_timeout: float = 1.0,
    ) -> None:
        self._Listener, self._Client = listener_client[serializer]
        self._serializer = serializer
        self._ctx = ctx or default_context.get_context()
        self._shutdown_timeout = shutdown_timeout
        self._address = address
        self._authkey = process.AuthenticationString(
            process.current_process().authkey if authkey is None else authkey
        )
        self._state = State()
        self._state.value = State.INITIAL

    def __getstate__(self) -> object:
        if self._process is not None or starting.get_spawning_popen() is None:
            raise TypeError("a Manager cannot be sent: send its proxies, or its address")
        return vars(self)

    def _check_initial(self) -> None:
        if self._state.value == State.STARTED:
            raise ProcessError("Already started server")
        if self._state.value == State.SHUTDOWN:
            raise ProcessError("Manager has shut down: make a new one")

    # --- the server's life ---

    def get_server(self) -> Server:
        """A server to run in this process, by its serve_forever().

        Raises:
            ProcessError: The manager has a server already.
            OSError: It cannot listen at the address.
        """
        self._check_initial()
        return self._Server(self._registry, self._address, self._authkey, self._serializer)

    def connect(self) -> None:
        """Use the server that is at the address.

        Raises:
            AuthenticationError: It has another key.
            OSError: Nobody serves there.
        """
        self._ask("dummy")
        self._state.value = State.STARTED

    def start(
        self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()
    ) -> None:
        """Start a server process.

        Args:
            initializer: Called in it first, with `initargs`.
        Raises:
            ProcessError: The manager has a server already.
            TypeError: initializer cannot be called.
            EOFError: The server's process has ended before it served; it has said why on stderr.
            OSError: The system has no room for a process.
        """
        self._check_initial()
        if not (initializer is None or callable(initializer)):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        # Chosen here, its folder goes with this process, and the file also where nobody removes it.
        chosen = None if self._address else connection.arbitrary_address("AF_UNIX")
        address = self._address or chosen
        reader, writer = connection.Pipe(duplex=False)
        with reader:
            with writer:
                self._process = self._make_process(address, writer, initializer, initargs)
                self._process.start()
            try:
                self._address = self._await_address(reader, self._process)
            except BaseException:
                # Nobody could end it later, and this process would wait for it at its exit.
                self._process.kill()
                self._process.join()
                raise
        self._state.value = State.STARTED
        self._state.patience = self._shutdown_timeout
        where = (self._address, self._authkey)
        end = (self._process, *where, self._state, self._Client, self._shutdown_timeout)
        self.shutdown = _finalize.Finalize(
            self, _end_server, (chosen, self._finalize_manager, *end), exitpriority=0
        )

    def _make_process(
        self,
        address: Any,
        writer: Any,
        initializer: Callable[..., object] | None,
        initargs: Iterable[Any],
    ) -> process.BaseProcess:
        authkey = bytes(self._authkey)  # which can be pickled towards a spawned process
        arguments = (self._registry, address, authkey, self._serializer, writer)
        made: process.BaseProcess = self._ctx.Process(
            target=type(self)._run_server, args=(*arguments, initializer, initargs)
        )
        made.name = f"{type(self).__name__}-{':'.join(map(str, made._identity))}"
        # It ends with this process, and its children are no daemons because of that.
        made._pool_worker = True
        return made

    @staticmethod
    def _await_address(reader: Any, server: process.BaseProcess) -> Any:
        # Why not by the pipe's end alone: a child that another thread forks now has it open, too.
        connection.wait([reader, server.sentinel])
        try:
            if reader.poll():
                return reader.recv()
        except EOFError:
            pass
        server.join()
        raise EOFError(
            f"the server {server.name} has ended with exit code {server.exitcode} before it "
            f"served; what its initializer, or the address, has raised is on its stderr"
        )

    @classmethod
    def _run_server(
        cls,
        registry: dict[str, Any],
        address: Any,
        authkey: bytes,
        serializer: str,
        writer: Any,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        """The server process's whole life."""
        # A Ctrl-C is for the program; the server ends when it is told to.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if initializer:
            initializer(*initargs)
        server = cls._Server(registry, address, authkey, serializer)
        with writer:
            writer.send(server.address)
        _log.info("manager serving at %r", server.address)
        server.serve_forever()

    @staticmethod
    def _finalize_manager(
        process: process.BaseProcess,
        address: Any,
        authkey: bytes,
        state: State,
        _Client: Any,
        shutdown_timeout: float,
    ) -> None:
        """End the server process: by a message, by SIGTERM, by SIGKILL."""

        def ask() -> None:
            try:
                # One that is stopped answers nothing; then the signals are next.
                with connect_with_patience(_Client, address, authkey, shutdown_timeout) as conn:
                    dispatch(conn, None, "shutdown")
            except Exception as error:
                _log.info("the manager cannot be asked to shut down: %r", error)

        for end in (ask, process.terminate, process.kill):
            if process.is_alive():
                _log.info("ending the manager's process: %s()", end.__name__)
                end()
                process.join(timeout=shutdown_timeout)
        state.value = State.SHUTDOWN
        BaseProxy._address_to_local.pop(address, None)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the server process has ended, if this manager has started one.

        Args:
            timeout: How many seconds at most; None: as long as it takes.
        Raises:
            AssertionError: Another process has started it.
        """
        server = self._process
        if server is None:
            return
        server.join(timeout)
        if not server.is_alive():
            self._process = None

    def __enter__(self: _M) -> _M:
        if self._state.value == State.INITIAL:
            self.start()
        if self._state.value == State.SHUTDOWN:
            self._check_initial()
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        self.shutdown()

    @property
    def address(self) -> Any:
        """Where the server listens."""
        return self._address

    # --- objects ---

    def _create(self, typeid: str, /, *args: Any, **kwds: Any) -> tuple[Token, Any]:
        """Make an object in the server; returns its token and the exposed methods."""
        assert self._state.value == State.STARTED, "server not yet started"
        ident, exposed = self._ask("create", typeid, *args, **kwds)
        return Token(typeid, self._address, ident), exposed

    def _ask(self, what: str, /, *args: Any, **kwds: Any) -> Any:
        return _ask_server(self._Client, self._address, self._authkey, what, *args, **kwds)

    def _debug_info(self) -> str:
        """The server's objects, and how often proxies refer to them."""
        return self._ask("debug_info")  # type: ignore[no-any-return]

    def _number_of_objects(self) -> int:
        """How many objects of the server proxies refer to."""
        return self._ask("number_of_objects")  # type: ignore[no-any-return]

    @classmethod
    def register(
        cls,
        typeid: str,
        callable: Callable[..., Any] | None = None,
        proxytype: Any = None,
        exposed: Any = None,
        method_to_typeid: dict[str, str] | None = None,
        create_method: bool = True,
    ) -> None:
        """Have managers of this class know a type.

        Args:
            typeid: The type's name, and that of the method that makes such an object.
            callable: Makes one, in the server. Not needed of a manager that only connects.
            proxytype: Makes its proxies; by default AutoProxy.
            exposed: The methods that may be called; by default the proxytype's `_exposed_`, or
                else those without an underscore.
            method_to_typeid: The methods that return a proxy, each with its typeid; by default the
                proxytype's `_method_to_typeid_`.
            create_method: Whether managers have the method.
        Raises:
            AssertionError: method_to_typeid has something else than strings.
        """
        if "_registry" not in vars(cls):
            cls._registry = dict(cls._registry)
        proxytype = proxytype or AutoProxy
        method_to_typeid = method_to_typeid or getattr(proxytype, "_method_to_typeid_", None)
        exposed = exposed or getattr(proxytype, "_exposed_", None)
        for pair in (method_to_typeid or {}).items():
            for name in pair:
                assert isinstance(name, str), f"{name!r} is not a string"
        cls._registry[typeid] = (callable, exposed, method_to_typeid, proxytype)
        if create_method:
            setattr(cls, typeid, _creator(typeid, proxytype))


def _end_server(chosen: str | None, finalize: Callable[..., None], *args: Any) -> None:
    """What shutdown() does; the file of a server that was killed is removed too."""
    finalize(*args)
    if chosen is not None:
        try:
            os.unlink(chosen)
        except OSError:
            pass  # the server has removed it, as it does in the end


def _ask_server(
    client: Any, address: Any, authkey: bytes, what: str, /, *args: Any, **kwds: Any
) -> Any:
    """Have a server do something itself, by a connection for that alone."""
    conn = client(address, authkey=authkey)
    try:
        return dispatch(conn, None, what, args, kwds)
    finally:
        conn.close()


def _creator(typeid: str, proxytype: Any) -> Callable[..., Any]:
    """The method of managers that makes objects of a type, and returns a proxy."""

    def create(self: BaseManager, /, *args: Any, **kwds: Any) -> Any:
        _log.debug("requesting creation of a shared %r object", typeid)
        token, exposed = self._create(typeid, *args, **kwds)
        return proxy_of_new(proxytype, token, self._serializer, self, self._authkey, exposed)

    create.__name__ = typeid
    create.__qualname__ = f"BaseManager.{typeid}"
    create.__doc__ = f"""Make a {typeid} in the server, and return a proxy for it.

        Raises:
            AssertionError: The manager has no server.
            RemoteError: The server could not make it; the text says why.
            EOFError, OSError: The server is gone.
        """
    return create
