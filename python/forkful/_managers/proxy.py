"""Proxies: objects whose methods are called in a manager's server."""

from __future__ import annotations

import os
import threading

from forkful import _finalize, _fork, _log, process
from forkful._managers.giving_back import give_back, tell_server
from forkful._managers.messages import State, Token, convert_to_error, dispatch
from forkful._managers.wire import listener_client
from forkful.context import get_spawning_popen

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

__all__ = [
    "AutoProxy",
    "BaseProxy",
    "MakeProxyType",
    "RebuildProxy",
    "default_proxytypes",
    "proxy_of_new",
]

# By typeid: for a proxy without a manager, as one that was unpickled, whose method returns proxies.
default_proxytypes: dict[str, Any] = {}


class _PerThread(threading.local):
    """A thread's connection to a server, `connection`, while it has one and no call uses it."""


# Per address: the connections of this process's threads, and the ids of the objects it refers to.
_reached: dict[Any, tuple[_PerThread, set[str]]] = {}


def _forget_connections() -> None:
    # Two processes that speak on one connection would get each other's answers.
    for per_thread, idset in list(_reached.values()):
        vars(per_thread).clear()
        idset.clear()


os.register_at_fork(after_in_child=_forget_connections)


class BaseProxy:
    """Stands for an object in a manager's server.

    A subclass lists the methods that may be called in `_exposed_`, and calls them by
    `_callmethod`; `_method_to_typeid_` names those that return proxies.

    Args:
        token: Which object it is.
        serializer: The manager's.
        manager: The manager object, where it is at hand.
        authkey: The key of the server; by default the manager's, or else this process's.
        exposed: The object's methods; for AutoProxy.
        incref: Whether the server is to count this proxy.
        manager_owned: The proxy lies in the server itself, which does not count it.
    Raises:
        EOFError, OSError: The server is gone.
        AuthenticationError: It has another key.
    """

    _address_to_local = _reached

    def __init__(
        self,
        token: Token,
        serializer: str,
        manager: Any = None,
        authkey: bytes | None = None,
        exposed: Iterable[str] | None = None,
        incref: bool = True,
        manager_owned: bool = False,
    ) -> None:
        # Why setdefault: two threads may make the first two proxies of an address.
        self._tls, self._idset = _reached.setdefault(token.address, (_PerThread(), set()))
        self._token = token
        self._id = token.id
        self._manager = manager
        self._serializer = serializer
        self._Client = listener_client[serializer][1]
        self._owned_by_manager = manager_owned
        self._authkey = _key_for(authkey, manager)
        if incref:
            self._incref()
        _fork.register_after_fork(self, BaseProxy._after_fork)

    # --- calls ---

    def _connect(self) -> None:
        _log.debug("making connection to manager")
        name = process.current_process().name
        thread = threading.current_thread()
        if thread is not threading.main_thread():
            name = f"{name}|{thread.name}"
        conn = self._Client(self._token.address, authkey=self._authkey)
        try:
            dispatch(conn, None, "accept_connection", (name,))
        except BaseException:
            conn.close()
            raise
        vars(self._tls)["connection"] = conn

    def _callmethod(
        self, methodname: str, args: Sequence[Any] = (), kwds: Mapping[str, Any] = {}
    ) -> Any:
        """Call a method of the object, and return what it returns: a copy, or a proxy.

        Raises:
            RemoteError: The method is not exposed, or the server could not do it.
            EOFError, ConnectionError: The server is gone, or goes in the middle.
            Exception: What the method raises.
        """
        kind, content = self._request((self._id, methodname, args, kwds))
        if kind == "#RETURN":
            return content
        if kind == "#PROXY":
            return self._proxy_of(*content)
        error = convert_to_error(kind, content)
        try:
            raise error
        finally:
            del error, content

    def _request(self, message: tuple[Any, ...]) -> Any:
        """Send a request by this thread's connection, and return the answer."""
        own = vars(self._tls)
        # Why it is taken out: a signal's handler, or a finalizer, may call a proxy in the middle,
        # and needs another connection. One that an exception leaves with an answer due is closed.
        conn = own.pop("connection", None)
        if conn is None:
            self._connect()
            conn = own.pop("connection")
        try:
            conn.send(message)
            return conn.recv()
        finally:
            if not conn.is_settled or own.setdefault("connection", conn) is not conn:
                conn.close()

    def _proxy_of(self, exposed: Iterable[str], token: Token) -> BaseProxy:
        """The proxy for what a method has returned; the server has counted it already."""
        if self._manager is not None:
            proxytype = self._manager._registry[token.typeid][-1]
        else:
            proxytype = default_proxytypes.get(token.typeid, AutoProxy)
        # The server may have several addresses; this one has worked.
        token.address = self._token.address
        return proxy_of_new(  # type: ignore[no-any-return]
            proxytype, token, self._serializer, self._manager, self._authkey, exposed
        )

    def _getvalue(self) -> Any:
        """A copy of the object.

        Raises: As _callmethod().
        """
        return self._callmethod("#GETVALUE")

    # --- the server's count ---

    def _incref(self) -> None:
        if self._owned_by_manager:
            _log.debug("owned_by_manager skipped INCREF of %r", self._token.id)
            return
        tell_server(self._Client, self._token, self._authkey, "incref")
        _log.debug("INCREF %r", self._token.id)
        self._note_counted()

    def _note_counted(self) -> None:
        """The server has counted this proxy, and is told when it goes."""
        self._idset.add(self._id)
        state = None if self._manager is None else self._manager._state
        what = (self._token, self._authkey, state, self._tls, self._idset, self._Client)
        self._close = _finalize.Finalize(self, BaseProxy._decref, what, exitpriority=10)

    @staticmethod
    def _decref(
        token: Token, authkey: bytes, state: State | None, tls: Any, idset: set[str], _Client: Any
    ) -> None:
        idset.discard(token.id)
        if state is not None and state.value != State.STARTED:
            _log.debug("DECREF %r -- manager already shutdown", token.id)
        else:
            _log.debug("DECREF %r", token.id)
            try:
                give_back(_Client, token, authkey, state)
            except Exception as error:
                _log.debug("... decref failed %s", error)
        # Without an object there, this thread needs no connection.
        unused = None if idset else vars(tls).pop("connection", None)
        if unused is not None:
            _log.debug(
                "thread %r has no more proxies so closing conn", threading.current_thread().name
            )
            unused.close()

    def _after_fork(self) -> None:
        """In a forked child: a further reference of the server's, by the child."""
        self._manager = None
        try:
            self._incref()
        except Exception as error:
            # The manager may have shut down.
            _log.info("incref failed: %s", error)

    # --- copies and texts ---

    def __reduce__(self) -> tuple[Any, ...]:
        if self._owned_by_manager:
            server = getattr(process.current_process(), "_manager_server", None)
            if server is not None:
                server.objects.is_on_its_way(self)
        options: dict[str, Any] = {}
        if get_spawning_popen() is not None:
            options["authkey"] = bytes(self._authkey)  # the other class is never pickled
        kind: Any = type(self)
        if getattr(self, "_isauto", False):
            kind = AutoProxy
            options["exposed"] = self._exposed_  # type: ignore[attr-defined]
        return RebuildProxy, (kind, self._token, self._serializer, options)

    def __deepcopy__(self, memo: Any) -> Any:
        return self._getvalue()

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} object, typeid {self._token.typeid!r} at {id(self):#x}>"

    def __str__(self) -> str:
        """The object's own text; where the server cannot be asked, one that says so."""
        try:
            return self._callmethod("__repr__")  # type: ignore[no-any-return]
        except Exception:
            return f"{repr(self)[:-1]}; '__str__()' failed>"


def proxy_of_new(
    proxytype: Any, token: Token, serializer: str, manager: Any, authkey: bytes, exposed: Any
) -> Any:
    """The proxy of an object that the server has counted once, when it made it.

    A proxy of ours takes that reference over, which saves two round trips. One that counts itself
    in a way of its own has another one, and the first is given back.
    """
    takes_over = proxytype is AutoProxy or (
        isinstance(proxytype, type)
        and issubclass(proxytype, BaseProxy)
        and proxytype.__init__ is BaseProxy.__init__
        and proxytype._incref is BaseProxy._incref
    )
    options = {"manager": manager, "authkey": authkey, "exposed": exposed}
    if takes_over:
        options["incref"] = False
    try:
        proxy = proxytype(token, serializer, **options)
        if takes_over:
            proxy._note_counted()
    except BaseException:
        takes_over = False
        raise
    finally:
        if not takes_over:
            tell_server(listener_client[serializer][1], token, authkey, "decref")
    return proxy


def _key_for(authkey: bytes | None, manager: Any) -> process.AuthenticationString:
    if authkey is None:
        owner = process.current_process() if manager is None else None
        authkey = manager._authkey if owner is None else owner.authkey
    return process.AuthenticationString(authkey)


def RebuildProxy(func: Any, token: Token, serializer: str, kwds: dict[str, Any]) -> Any:
    """Unpickle a proxy.

    In the server that has the object, the proxy makes it stay, but is not counted.

    Args:
        func: The proxy's type, or AutoProxy.
        kwds: Further arguments of it.
    Raises: As BaseProxy().
    """
    current = process.current_process()
    server = getattr(current, "_manager_server", None)
    if server is not None and server.address == token.address:
        _log.debug("Rebuild a proxy owned by manager, token=%r", token)
        kwds["manager_owned"] = True
        kwds.setdefault("authkey", server.authkey)
        return _rebuild_here(server.objects, func, token, serializer, kwds)
    incref = kwds.pop("incref", True) and not getattr(current, "_inheriting", False)
    return func(token, serializer, incref=incref, **kwds)


def _rebuild_here(
    objects: Any, func: Any, token: Token, serializer: str, kwds: dict[str, Any]
) -> Any:
    """Unpickle a proxy in the server whose object it stands for."""
    objects.keep(token.id)
    try:
        proxy = func(token, serializer, **kwds)
    except BaseException:
        objects.drop(token.id)
        raise
    objects.watch(proxy, token.id)
    return proxy


def _method(name: str) -> Any:
    def call(self: BaseProxy, /, *args: Any, **kwds: Any) -> Any:
        return self._callmethod(name, args, kwds)

    call.__name__ = call.__qualname__ = name
    return call


_made: dict[tuple[str, tuple[str, ...]], type[BaseProxy]] = {}


def MakeProxyType(
    name: str, exposed: Iterable[str], _cache: dict[Any, Any] = _made
) -> type[BaseProxy]:
    """A proxy type with those methods; the same one for the same arguments."""
    methods = tuple(exposed)
    key = (name, methods)
    if key not in _cache:
        members = {each: _method(each) for each in methods}
        _cache[key] = type(
            name, (BaseProxy,), {**members, "_exposed_": methods, "__module__": __name__}
        )
    return _cache[key]  # type: ignore[no-any-return]


def AutoProxy(
    token: Token,
    serializer: str,
    manager: Any = None,
    authkey: bytes | None = None,
    exposed: Iterable[str] | None = None,
    incref: bool = True,
    manager_owned: bool = False,
) -> BaseProxy:
    """A proxy with the methods that the object has; the arguments are BaseProxy's.

    Raises: As BaseProxy().
    """
    key = _key_for(authkey, manager)
    if exposed is None:
        conn = listener_client[serializer][1](token.address, authkey=key)
        try:
            exposed = dispatch(conn, None, "get_methods", (token,))
        finally:
            conn.close()
    proxy = MakeProxyType(f"AutoProxy[{token.typeid}]", exposed or ())(
        token,
        serializer,
        manager=manager,
        authkey=key,
        incref=incref,
        manager_owned=manager_owned,
    )
    proxy._isauto = True  # type: ignore[attr-defined]
    return proxy
