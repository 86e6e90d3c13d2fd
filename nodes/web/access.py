"""Who may do what: links that work once and passwords in, a session with a role out. Neither sockets nor clocks here.

A secret is held as its hash alone, so that nothing that is written down or looked at here opens a door.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from nodes.web.passwords import Role

SESSION_S = 30 * 24 * 3600.0  # a page that was not looked at for so long has to log in again
MAX_SESSIONS = 1024  # the one that was not used for the longest gives way
MAX_LINKS = 16
TRIES = 5  # wrong passwords that an address may send at once
TRY_AGAIN_S = 10.0  # and one more after so long
TRIES_OF_ALL = 50  # of all addresses together
MAX_ADDRESSES = 4096


@dataclass
class Session:
    """Somebody who has logged in."""

    role: Role
    used_s: float  # when a request of it came last


@dataclass
class _Tries:
    """A bucket of tries: full at first, one more each TRY_AGAIN_S."""

    left: float
    at_s: float


class Access:
    """The sessions of a server, and the links and tries that lead to one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.refused_logins = 0
        self._clock = clock
        self._sessions: dict[str, Session] = {}  # by the hash of the cookie's value
        self._links: set[str] = set()  # hashes of links that nobody has used yet
        self._tries: dict[str, _Tries] = {}  # by address; "" for all together

    # --- sessions ---

    def open_session(self, role: Role) -> str:
        """The cookie's value of a new session."""
        value, now_s = secrets.token_urlsafe(32), self._clock()
        while len(self._sessions) >= MAX_SESSIONS:
            oldest = min(self._sessions, key=lambda h: self._sessions[h].used_s)
            del self._sessions[oldest]
        self._sessions[digest(value)] = Session(role, now_s)
        return value

    def role(self, cookie: str | None) -> Role | None:
        """The role of the session that a cookie names, if there is one."""
        hashed = digest(cookie) if cookie else ""
        session, now_s = self._sessions.get(hashed), self._clock()
        if session is None:
            return None
        if now_s - session.used_s > SESSION_S:
            del self._sessions[hashed]
            return None
        session.used_s = now_s
        return session.role

    def close_session(self, cookie: str) -> None:
        """End a session; its cookie opens nothing any more."""
        self._sessions.pop(digest(cookie), None)

    def restore(self, sessions: dict[str, Session]) -> None:
        """Take back what `sessions` said in an earlier life of this server."""
        self._sessions = dict(list(sessions.items())[-MAX_SESSIONS:])

    @property
    def sessions(self) -> dict[str, Session]:
        """The sessions by the hashes of their cookies."""
        return dict(self._sessions)

    # --- links that work once ---

    def make_link(self) -> str:
        """A secret that opens one session."""
        secret = secrets.token_urlsafe(24)
        if len(self._links) >= MAX_LINKS:
            self._links.pop()
        self._links.add(digest(secret))
        return secret

    def use_link(self, secret: str) -> bool:
        """Whether the secret is one that nobody has used before; from now on it is used."""
        hashed = digest(secret)
        if hashed not in self._links:
            return False
        self._links.remove(hashed)
        return True

    # --- wrong passwords ---

    def may_try(self, address: str) -> bool:
        """Whether an address may try a password or a link; each call is one try."""
        now_s = self._clock()
        if len(self._tries) > MAX_ADDRESSES:
            self._tries = {a: t for a, t in self._tries.items() if a == "" or _left(t, TRIES, now_s) < TRIES}
        own, shared = self._bucket(address or "?", TRIES, now_s), self._bucket("", TRIES_OF_ALL, now_s)
        if own.left < 1 or shared.left < 1:
            self.refused_logins += 1
            return False
        own.left -= 1
        shared.left -= 1
        return True

    def forgive(self, address: str) -> None:
        """A login went well: its tries count no more."""
        self._tries.pop(address or "?", None)

    def _bucket(self, address: str, most: int, now_s: float) -> _Tries:
        bucket = self._tries.get(address)
        if bucket is None:
            bucket = self._tries[address] = _Tries(most, now_s)
        bucket.left, bucket.at_s = _left(bucket, most, now_s), now_s
        return bucket


def _left(tries: _Tries, most: int, now_s: float) -> float:
    per_s = most / TRIES / TRY_AGAIN_S
    return min(float(most), tries.left + (now_s - tries.at_s) * per_s)


def digest(secret: str) -> str:
    """The hash that stands for a secret of full entropy: no salt is needed for those."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
