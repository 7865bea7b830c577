"""Visitors and sessions, pure: their state is in a signed token of the client, not on the server."""

import struct
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from msgspec import Struct

_VERSION: Final = 1
# version, au_id, au_first_seen, client_au_id, client_first_seen, sid, start, hits, last_hit: times in Unix seconds
_STATE: Final = struct.Struct(">B Q I Q I q I I I")
_UINT64: Final = struct.Struct(">Q")
_MAC_BYTES: Final = 15
"""Makes a token of 60 bytes, which are 80 characters of base64 without padding."""
_TOKEN_LENGTH: Final = 80
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
AU_IDS: Final = 2**53 - 1
"""Visitor ids go from 1 to this."""
_NO_SID: Final = -1
_UINT32: Final = 2**32 - 1
"""Hits and times in a token stop here: a client can send for ever, and a clock can be wrong."""


class Session(Struct, frozen=True, gc=False):  # made in 0.1 us, a tuple in 0.4
    """A visitor's state after a hit. Ids are positive integers below 2^53, times are Unix seconds."""

    au_id: int
    au_first_seen: int
    client_au_id: int
    client_first_seen: int
    sid: int
    """The last session id that the client sent; -1 for none."""
    start: int
    hits: int
    last_hit: int
    is_new: bool
    is_new_client: bool
    is_new_user: bool


class _ByPortal(dict[int, "blake2b"]):
    """A keyed hash for every portal in the settings, already fed with the portal's id."""

    def __init__(self, keyed: "blake2b") -> None:
        self._keyed = keyed

    def __missing__(self, portal_id: int) -> "blake2b":
        self[portal_id] = keyed = self._keyed.copy()
        keyed.update(b"%d:" % portal_id)
        return keyed


class Sessions:
    """Holds the keys; reads and writes tokens, and computes the state after a visitor's next hit."""

    def __init__(self, secret: bytes, timeout_seconds: float) -> None:
        """`secret` is a key of at most 64 bytes, the same on all nodes."""
        self._au_hash = _ByPortal(blake2b(key=secret, digest_size=8, person=b"tracklog au_id"))
        self._mac = _ByPortal(blake2b(key=secret, digest_size=_MAC_BYTES, person=b"tracklog session"))
        self._timeout = timeout_seconds

    def au_id(self, portal_id: int, uid: str) -> int:
        """The visitor id of a user, the same on all nodes that share the secret."""
        keyed = self._au_hash[portal_id].copy()
        keyed.update(uid.encode("utf-8", "surrogatepass"))
        number: int = _UINT64.unpack(keyed.digest())[0]  # half the time of `int.from_bytes`
        return number % AU_IDS + 1

    def next_hit(self, last: Session | None, au_id: int, sid: int | None, now: int) -> Session:
        """The session after a hit at `now`. `last` is the session of the visitor's last hit, if known."""
        if not 0 <= now <= _UINT32:
            now = 0 if now < 0 else _UINT32
        if last is None:
            return Session(au_id, now, au_id, now, _NO_SID if sid is None else sid, now, 1, now, True, True, True)
        is_new = now - last.last_hit >= self._timeout
        is_new_user = au_id != last.au_id
        return Session(
            au_id=au_id,
            au_first_seen=now if is_new_user else last.au_first_seen,
            client_au_id=last.client_au_id,
            client_first_seen=last.client_first_seen,
            sid=last.sid if sid is None else sid,
            start=now if is_new else last.start,
            hits=1 if is_new else last.hits + 1 if last.hits < _UINT32 else _UINT32,
            last_hit=now,
            is_new=is_new,
            is_new_client=False,
            is_new_user=is_new_user,
        )

    def token(self, portal_id: int, session: Session) -> bytes:
        """The token of a session, for `read`."""
        state = _STATE.pack(
            _VERSION,
            session.au_id,
            session.au_first_seen,
            session.client_au_id,
            session.client_first_seen,
            session.sid,
            session.start,
            session.hits,
            session.last_hit,
        )
        return b2a_base64(state + self._sign(portal_id, state), newline=False).translate(_URL_SAFE)

    def read(self, portal_id: int, token: bytes) -> Session | None:
        """The session in a token; None if we did not issue it for this portal."""
        if len(token) != _TOKEN_LENGTH:
            return None
        try:
            data = urlsafe_b64decode(token)
        except ValueError:
            return None
        state, mac = data[: _STATE.size], data[_STATE.size :]
        if not compare_digest(mac, self._sign(portal_id, state)) or state[0] != _VERSION:
            return None
        _, au_id, au_first_seen, client_au_id, client_first_seen, sid, start, hits, last_hit = _STATE.unpack(state)
        known = (au_id, au_first_seen, client_au_id, client_first_seen, sid, start, hits, last_hit)
        return Session(*known, is_new=False, is_new_client=False, is_new_user=False)

    def _sign(self, portal_id: int, state: bytes) -> bytes:
        keyed = self._mac[portal_id].copy()
        keyed.update(state)
        return keyed.digest()
