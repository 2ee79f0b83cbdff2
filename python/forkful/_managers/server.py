"""The server: it has the objects, and calls their methods for clients, a thread for each."""

from __future__ import annotations

import sys
import threading
from traceback import format_exc

from forkful import _fork, _log, process
from forkful._errors import AuthenticationError
from forkful._managers.holders import Holders, peer_of
from forkful._managers.messages import Token, public_methods
from forkful._managers.objects import Objects
from forkful._managers.wire import listener_client

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

__all__ = ["Server"]

_BACKLOG = 128  # as many clients as may come while the accepter has no CPU; a guess
_CLIENTS_FAULTS = (EOFError, AuthenticationError, ConnectionError)
_ANSWERED = object()  # what a method of the server returns that has sent its answer itself


class Server:
    """What runs in a manager's process.

    A subclass adds names to `public`, and methods that take the connection and the arguments.

    Args:
        registry: By typeid: callable, exposed methods, method_to_typeid and proxy type.
        address: Where to listen; None: wherever.
        authkey: The key that clients have to know.
        serializer: "pickle" or "xmlrpclib".
    Raises:
        TypeError: authkey is no bytes.
        OSError: It cannot listen there.
    """

    public = [
        *("create", "incref", "decref", "get_methods"),
        *("accept_connection", "dummy", "shutdown"),
        *("number_of_objects", "debug_info"),
    ]

    def __init__(
        self, registry: dict[str, Any], address: Any, authkey: bytes, serializer: str
    ) -> None:
        if not isinstance(authkey, bytes):
            raise TypeError(f"Authkey {authkey!r} is type {type(authkey)}, not bytes")
        self.registry = registry
        self.authkey = process.AuthenticationString(authkey)
        # It carries on many handshakes at a time, and gives up those that take too long: nobody who
        # connects and says nothing keeps the others waiting. Who is accepted knows the key.
        self.listener = listener_client[serializer][0](
            address=address, backlog=_BACKLOG, authkey=self.authkey
        )
        self.address = self.listener.address
        self.objects = Objects()
        # The names that multiprocessing has for its parts.
        self.mutex = self.objects.mutex
        self.id_to_obj = self.objects.entries
        self.id_to_refcount = self.objects.counts
        self.id_to_local_proxy_obj = self.objects.local
        self.stop_event = threading.Event()
        self._connections: dict[Any, int] = {}  # each with the process at its other end, or 0
        self._holders = Holders()

    def serve_forever(self) -> NoReturn:
        """Serve until shutdown() is called, then end this process, or thread.

        Raises:
            SystemExit: Always.
        """
        self.stop_event.clear()
        process.current_process()._manager_server = self  # type: ignore[attr-defined]
        # What it forks must not keep its connections open when it is gone.
        _fork.register_after_fork(self, Server._close_in_child)
        try:
            threading.Thread(target=self.accepter, daemon=True).start()
            self.stop_event.wait()
        except (KeyboardInterrupt, SystemExit):
            pass
        finally:
            if sys.stdout != sys.__stdout__:
                _log.debug("resetting stdout, stderr")
                sys.stdout = sys.__stdout__
                sys.stderr = sys.__stderr__
            sys.exit(0)

    def _close_in_child(self) -> None:
        for conn in list(self._connections):
            conn.close()
        self._connections.clear()

    # --- connections ---

    def accepter(self) -> None:
        """Accept connections, until the listener is closed."""
        while not self.stop_event.is_set():
            try:
                conn = self.listener.accept()
            except Exception as error:
                if not self._listens():
                    return
                _log.info("no client was accepted: %r", error)
                if not isinstance(error, _CLIENTS_FAULTS) and getattr(error, "errno", None):
                    # Why: without descriptors accept() fails at once until somebody closes one.
                    self.stop_event.wait(0.02)
                continue
            self._connections[conn] = peer_of(conn)
            try:
                threading.Thread(target=self.handle_request, args=(conn,), daemon=True).start()
            except RuntimeError:  # the system has no room for a thread
                self._close(conn)

    def _listens(self) -> bool:
        try:
            return self.listener.address is not None
        except OSError:
            return False

    def _close(self, conn: Any) -> None:
        self._connections.pop(conn, None)
        conn.close()

    def handle_request(self, conn: Any) -> None:
        """Serve a new connection to its end."""
        try:
            self._handle_request(conn)
        except SystemExit:
            pass  # a subclass's way to end a thread
        finally:
            self._close(conn)

    def _handle_request(self, c: Any) -> None:
        request = None
        try:
            request = c.recv()
            _, funcname, args, kwds = request
            if funcname not in self.public:
                raise AssertionError(f"{funcname!r} unrecognized")
            result = getattr(self, funcname)(c, *args, **kwds)
            if result is _ANSWERED:
                return
            answer = ("#RETURN", result)
        except (EOFError, ConnectionError):
            return
        except Exception:
            answer = ("#TRACEBACK", format_exc())
        try:
            c.send(answer)
        except Exception as error:
            _log.info("Failure to send message: %r", answer)
            _log.info(" ... request was %r", request)
            _log.info(" ... exception was %r", error)
            try:
                c.send(("#TRACEBACK", format_exc()))
            except Exception:
                pass  # the client is gone

    def serve_client(self, conn: Any) -> None:
        """Answer the requests of a thread's proxies, until it closes the connection."""
        _log.debug("starting server thread to service %r", threading.current_thread().name)
        self.objects.begin_serving()
        while not self.stop_event.is_set() and self._serve_one(conn):
            self.objects.collect()

    def _serve_one(self, conn: Any) -> bool:
        """Answer a request; returns whether the connection goes on."""
        name = threading.current_thread().name
        try:
            request = conn.recv()
            self.objects.has_arrived()
            answer = self._answer(conn, request)
            del request
        except (EOFError, ConnectionError):
            _log.debug("got EOF -- exiting thread serving %r", name)
            return False
        except Exception:
            answer = ("#TRACEBACK", format_exc())
        try:
            try:
                conn.send(answer)
            except (BrokenPipeError, ConnectionError):
                raise
            except Exception:
                conn.send(("#UNSERIALIZABLE", format_exc()))
        except Exception as error:
            _log.info("exception in thread serving %r", name)
            _log.info(" ... message was %r", answer)
            _log.info(" ... exception was %r", error)
            return False
        return True

    def _answer(self, conn: Any, request: Any) -> tuple[str, Any]:
        """What a request for an object's method is answered with."""
        ident, methodname, args, kwds = request
        obj, exposed, gettypeid = self.objects.find(ident)
        if methodname not in exposed:
            fallback = self.fallback_mapping.get(methodname)
            if fallback is None:
                raise AttributeError(
                    f"method {methodname!r} of {type(obj)!r} object is not in exposed={exposed!r}"
                )
            return "#RETURN", fallback(self, conn, ident, obj, *args, **kwds)
        function = getattr(obj, methodname)
        try:
            result = function(*args, **kwds)
        except Exception as error:
            return "#ERROR", error
        except BaseException:
            # Such as SystemExit, which is neither for this thread nor for the client.
            return "#TRACEBACK", format_exc()
        typeid = gettypeid and gettypeid.get(methodname)
        if not typeid:
            return "#RETURN", result
        rident, rexposed = self.create(conn, typeid, result)
        return "#PROXY", (rexposed, Token(typeid, self.address, rident))

    def fallback_repr(self, conn: Any, ident: str, obj: Any) -> str:
        """The object's repr()."""
        return repr(obj)

    def fallback_str(self, conn: Any, ident: str, obj: Any) -> str:
        """The object's text."""
        return str(obj)

    def fallback_getvalue(self, conn: Any, ident: str, obj: Any) -> Any:
        """The object itself, of which the client gets a copy."""
        return obj

    # What can be called of every object.
    fallback_mapping: dict[str, Callable[..., Any]] = {
        "#GETVALUE": fallback_getvalue,
        "__repr__": fallback_repr,
        "__str__": fallback_str,
    }

    # --- what clients ask of the server itself ---

    def dummy(self, c: Any) -> None:
        """Nothing: the client wants to know that the server is there."""

    def debug_info(self, c: Any) -> str:
        """The objects that clients refer to, with the counts of references."""
        with self.mutex:
            counts = sorted(self.id_to_refcount.items())
            objects = [self.id_to_obj[ident][0] for ident, _ in counts]
        return "\n".join(
            f"  {ident}:       refcount={count}\n    {str(obj)[:75]}"
            for (ident, count), obj in zip(counts, objects, strict=True)
            if ident != "0"
        )

    def number_of_objects(self, c: Any) -> int:
        """How many objects clients refer to."""
        return len(self.id_to_refcount)

    def shutdown(self, c: Any) -> object:
        """Stop serving."""
        try:
            _log.debug("manager received shutdown message")
            c.send(("#RETURN", None))
        except OSError:
            pass  # the client did not wait
        finally:
            self.stop_event.set()
        return _ANSWERED

    def create(
        self, c: Any, typeid: str, /, *args: Any, **kwds: Any
    ) -> tuple[str, tuple[str, ...]]:
        """Make an object, with a first reference; returns its id and the exposed methods.

        Raises:
            KeyError: No such typeid.
            ValueError: The type has no callable, so it takes one argument, the object itself.
            TypeError: method_to_typeid is no dict.
            Exception: What the callable raises.
        """
        make, exposed, method_to_typeid, _ = self.registry[typeid]
        if make is not None:
            obj = make(*args, **kwds)
        elif kwds or len(args) != 1:
            raise ValueError("Without callable, must have one non-keyword argument")
        else:
            obj = args[0]
        methods = list(public_methods(obj) if exposed is None else exposed)
        if method_to_typeid is not None:
            if not isinstance(method_to_typeid, dict):
                kind = type(method_to_typeid)
                raise TypeError(f"Method_to_typeid {method_to_typeid!r}: type {kind}, not dict")
            methods += method_to_typeid
        self._release_what_the_dead_have_left()
        ident = self.objects.add(obj, methods, method_to_typeid)
        self._holders.take(self._connections.get(c, 0), ident)
        _log.debug("%r callable returned object with id %r", typeid, ident)
        return ident, tuple(methods)

    def incref(self, c: Any, ident: str) -> None:
        """A further proxy refers to the object.

        Raises:
            KeyError: It is not there any more.
        """
        self.objects.refer(ident)
        self._holders.take(self._connections.get(c, 0), ident)

    def decref(self, c: Any, ident: str) -> None:
        """A proxy is gone. With its last one the object goes, unless others have proxies of it.

        Raises:
            KeyError: It is not there any more.
        """
        if self._holders.give_back(self._connections.get(c, 0), ident):
            self._release(ident)
        self.objects.collect()

    def _release(self, ident: str) -> None:
        if self.objects.release(ident):
            _log.debug("disposing of obj with id %r", ident)

    def _release_what_the_dead_have_left(self, patience: float = 0.0) -> None:
        for ident in self._holders.left_by_the_dead(patience):
            try:
                self._release(ident)
            except KeyError:
                pass  # a subclass counts in another way

    def get_methods(self, c: Any, token: Token) -> tuple[str, ...]:
        """The exposed methods of an object.

        Raises:
            KeyError: It is not there any more.
        """
        return tuple(self.objects.find(token.id)[1])

    def accept_connection(self, c: Any, name: str) -> object:
        """Serve the proxies of a client's thread by this connection."""
        c.send(("#RETURN", None))
        threading.current_thread().name = name
        self.serve_client(c)
        if self._holders.has_references(self._connections.get(c, 0)):
            # It is a thread that has ended, or all of the client; that takes it another moment.
            self._release_what_the_dead_have_left(patience=0.1)
            self.objects.collect()
        return _ANSWERED
