"""Telling a server that a proxy has gone, where the server may be stopped.

A proxy goes at any line: in the middle of a program, in a worker after its task, at the exit.
Nobody may wait there for as long as somebody keeps the server stopped. What it could not be told is
owed, and told when it answers again, or at this process's exit. A server of this machine sees by
itself what those owe that have ended.

Threads: any; a finalizer may come here in the middle of a call.
"""

from __future__ import annotations

import os
import time

from forkful import _finalize, _log
from forkful._managers.messages import State, Token, dispatch
from forkful._managers.wire import connect_with_patience

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Owed: TypeAlias = tuple[Any, Token, bytes, State | None]

__all__ = ["give_back", "tell_server"]

# In seconds; guesses. A server that is not stopped has answered by then, however busy it is.
_PATIENCE = 5.0
_SHORT_PATIENCE = 0.1  # with one that has not answered before
_ASK_AGAIN_AFTER = 1.0
# At exit: where it does not matter, as the server sees the end, and where that is all there is.
_PATIENCE_AT_EXIT = 1.0
_LONG_PATIENCE_AT_EXIT = 20.0


class _Silent:
    """A server that has not answered: what it is owed, and when it may be asked again."""

    def __init__(self) -> None:
        self.owed: list[Owed] = []
        self._ask_at = 0.0
        self._was_asked_at_exit = False

    def may_be_asked(self) -> bool:
        if _finalize.is_exiting():
            return not self._was_asked_at_exit
        return time.monotonic() >= self._ask_at

    def note(self) -> None:
        self._was_asked_at_exit = _finalize.is_exiting()
        self._ask_at = time.monotonic() + _ASK_AGAIN_AFTER


_silent: dict[Any, _Silent] = {}
_pays_at_exit = False


def _forget() -> None:
    # The references are the parent's, and so are its finalizers.
    global _pays_at_exit
    _pays_at_exit = False
    _silent.clear()


os.register_at_fork(after_in_child=_forget)


def tell_server(
    client: Any, token: Token, authkey: bytes, what: str, patience: float | None = None
) -> None:
    """Have a server count a reference to an object more, or less.

    Args:
        client: A function of listener_client.
        what: "incref" or "decref".
        patience: How many seconds to wait for the server at most; None: as long as it takes.
    Raises:
        TimeoutError: It has not let this process in for so long, and knows nothing of it.
        RemoteError: It does not know the object.
        AuthenticationError, EOFError, OSError: As Client().
    """
    conn = connect_with_patience(client, token.address, authkey, patience)
    try:
        dispatch(conn, None, what, (token.id,))
    except TimeoutError:
        pass  # it has the request, and does that when it goes on; again would be once too often
    finally:
        conn.close()


def give_back(client: Any, token: Token, authkey: bytes, state: State | None) -> None:
    """Have a server count a reference less, at once or later.

    Args:
        state: The manager's, where it is at hand.
    Raises: As tell_server(), but for TimeoutError.
    """
    owed: Owed = (client, token, authkey, state)
    silent = _silent.get(token.address)
    if silent is not None and not silent.may_be_asked():
        silent.owed.append(owed)
    elif _told_in_time(owed) and silent is not None:
        _silent.pop(token.address, None)
        _pay(silent)


def _pay(silent: _Silent) -> None:
    try:
        while silent.owed:
            try:
                if not _told_in_time(silent.owed.pop()):
                    break
            except Exception as error:
                _log.debug("... late decref failed %s", error)
    finally:
        if silent.owed:
            _silent_at(silent.owed[0][1].address).owed.extend(silent.owed)


def _told_in_time(owed: Owed) -> bool:
    client, token, authkey, state = owed
    try:
        tell_server(client, token, authkey, "decref", _patience_with(token.address, state))
    except TimeoutError:
        silent = _silent_at(token.address)
        silent.owed.append(owed)
        silent.note()
        return False
    return True


def _silent_at(address: Any) -> _Silent:
    global _pays_at_exit
    if not _pays_at_exit:
        _pays_at_exit = True
        _finalize.Finalize(None, _pay_all, exitpriority=9)  # after the proxies'
    return _silent.setdefault(address, _Silent())


def _pay_all() -> None:
    for address, silent in list(_silent.items()):
        if silent.may_be_asked():
            _silent.pop(address, None)
            _pay(silent)


def _patience_with(address: Any, state: State | None) -> float:
    if not _finalize.is_exiting():
        return _SHORT_PATIENCE if address in _silent else _PATIENCE
    # One of this process's goes with it, and its manager says how long it has to.
    its = _PATIENCE_AT_EXIT if isinstance(address, str | bytes) else _LONG_PATIENCE_AT_EXIT
    return getattr(state, "patience", its)
