"""How the two ends of a connection show each other that they know a key.

One end sends a challenge, random bytes, and the other answers with their HMAC. Then they change
places. The messages are those of multiprocessing from Python 3.12 on: a challenge says which digest
it asks for, `#CHALLENGE#{sha256}…`, and so does the answer, `{sha256}…`. An interpreter before 3.12
takes such a challenge as plain bytes and answers with 16 bytes of HMAC-MD5. Its own challenges have
20 bytes and no digest. Both are understood here, and SHA-256 is used wherever the other end can.

Nothing here waits or knows a descriptor: each side is a generator. It yields a message to send, or
None, upon which it is sent the next message received. So one thread can carry on many at a time.
"""

from __future__ import annotations

import os

from forkful._errors import AuthenticationError

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    Steps = Generator[bytes | None, bytes | None, None]

__all__ = [
    "ALLOWED_DIGESTS",
    "CHALLENGE",
    "FAILURE",
    "LEGACY_MESSAGE_LENGTH",
    "MESSAGE_LENGTH",
    "MOST_BYTES",
    "WELCOME",
    "answering",
    "challenging",
    "converse",
    "create_response",
    "receiving_end",
    "sending_end",
    "split_digest",
    "verify_response",
]

CHALLENGE = b"#CHALLENGE#"
WELCOME = b"#WELCOME#"
FAILURE = b"#FAILURE#"

MESSAGE_LENGTH = 40  # random bytes of a challenge
LEGACY_MESSAGE_LENGTH = 20  # of one that an interpreter before 3.12 sends
_LEGACY_ANSWER_LENGTH = 16  # an MD5 digest
# No message before the end of the handshake is longer. More is not even read.
MOST_BYTES = 256

ALLOWED_DIGESTS = frozenset({b"md5", b"sha256", b"sha384", b"sha3_256", b"sha3_384"})


def split_digest(message: bytes) -> tuple[str, bytes]:
    """The digest that a challenge or an answer names, and the rest of it; "" where it names none.

    Raises:
        AuthenticationError: It names none and has not the length that such messages have, or it
            names one that is not allowed.
    """
    # First, since random bytes may begin with a brace, too. No message with a name is so short.
    if len(message) in (LEGACY_MESSAGE_LENGTH, _LEGACY_ANSWER_LENGTH):
        return "", message
    if message[:1] == b"{":
        name, brace, rest = message[1:].partition(b"}")
        if brace and name in ALLOWED_DIGESTS:
            return name.decode(), rest
    raise AuthenticationError(
        f"unsupported digest, or no message of a handshake: {message[:MESSAGE_LENGTH]!r}; "
        f"digests are {_allowed()}"
    )


def _allowed() -> str:
    return ", ".join(sorted(each.decode() for each in ALLOWED_DIGESTS))


def _mac(authkey: bytes, message: bytes, digest: str) -> bytes:
    import hmac

    try:
        return hmac.new(authkey, message, digest).digest()
    except ValueError as error:  # an interpreter whose policy forbids MD5
        raise AuthenticationError(
            f"this interpreter has no {digest}, which the other end asks for: {error}"
        ) from None


def create_response(authkey: bytes, message: bytes) -> bytes:
    """The answer to a challenge (without its first word).

    Raises:
        AuthenticationError: It asks for a digest that is not allowed, or not there.
    """
    digest, _ = split_digest(message)
    if not digest:
        return _mac(authkey, message, "md5")
    return b"{%s}" % digest.encode() + _mac(authkey, message, digest)


def verify_response(authkey: bytes, message: bytes, response: bytes) -> None:
    """Check an answer to the challenge `message`, whichever allowed digest it is made by.

    Raises:
        AuthenticationError: It is not what somebody answers who knows the key.
    """
    import hmac

    digest, answer = split_digest(response)
    if not hmac.compare_digest(_mac(authkey, message, digest or "md5"), answer):
        raise AuthenticationError("digest received was wrong: the other end has another authkey")


def challenging(authkey: bytes, digest_name: str = "sha256") -> Steps:
    """Have the other end show that it knows the key.

    Raises:
        ValueError: authkey is not bytes, or the digest is not allowed.
        AuthenticationError: The other end does not know it.
    """
    _check_key(authkey)
    if digest_name.encode() not in ALLOWED_DIGESTS:
        raise ValueError(f"unsupported digest {digest_name!r}: {_allowed()} are allowed")
    message = b"{%s}" % digest_name.encode() + os.urandom(MESSAGE_LENGTH)
    yield CHALLENGE + message
    response = yield None
    try:
        verify_response(authkey, message, response or b"")
    except AuthenticationError:
        yield FAILURE
        raise
    yield WELCOME


def answering(authkey: bytes) -> Steps:
    """Show the other end that this one knows the key.

    Raises:
        ValueError: authkey is not bytes.
        AuthenticationError: What came is no challenge, or the other end says that the answer is
            wrong.
    """
    _check_key(authkey)
    message = (yield None) or b""
    if not message.startswith(CHALLENGE):
        raise AuthenticationError(
            f"protocol error: expected a challenge, not {message[:MESSAGE_LENGTH]!r}; does the "
            f"other end use an authkey?"
        )
    message = message.removeprefix(CHALLENGE)
    if len(message) < LEGACY_MESSAGE_LENGTH:
        raise AuthenticationError(f"challenge too short: {len(message)} bytes")
    yield create_response(authkey, message)
    if (yield None) != WELCOME:
        raise AuthenticationError("digest sent was rejected: the other end has another authkey")


def receiving_end(authkey: bytes) -> Steps:
    """The whole handshake, of the end that was connected to."""
    yield from challenging(authkey)
    yield from answering(authkey)


def sending_end(authkey: bytes) -> Steps:
    """The whole handshake, of the end that has connected."""
    yield from answering(authkey)
    yield from challenging(authkey)


def converse(connection: Any, steps: Steps) -> None:
    """Carry out the steps over a connection, waiting for each message.

    Raises:
        AuthenticationError: As the steps raise it.
        EOFError: The other end has closed the connection.
        OSError: A message is too long, or what the connection raises.
    """
    received: bytes | None = None
    while True:
        try:
            message = steps.send(received)
        except StopIteration:
            return
        if message is None:
            received = connection.recv_bytes(MOST_BYTES)
        else:
            connection.send_bytes(message)
            received = None


def _check_key(authkey: bytes) -> None:
    if not isinstance(authkey, bytes):
        raise ValueError(f"Authkey must be bytes, not {type(authkey)!s}")
