"""Who may do what: links that work once and passwords in, a session with a role out. No sockets, no clocks."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from nodes.web.access.hashing import digest
from nodes.web.access.passwords import ROLES, Role
from nodes.web.access.run_files import RunFiles
from nodes.web.allowances import Allowances

SESSION_S = 30 * 24 * 3600.0  # a page that was not looked at for so long has to log in again
MAX_SESSIONS = 1024  # the one that was not used for the longest gives way
TRIES = 5  # wrong passwords that an address may send at once
TRY_AGAIN_S = 10.0  # and one more after so long
TRIES_OF_ALL = 50  # of all addresses together; and one more a second


@dataclass
class Session:
    """Somebody who has logged in."""

    role: Role
    used_s: float  # when a request of it came last


class Access:
    """The sessions of a server, and the links and tries that lead to one."""

    def __init__(self, clock: Callable[[], float], files: RunFiles) -> None:
        self._clock = clock
        self._files = files
        saved = list(files.load_sessions().items())[-MAX_SESSIONS:]
        # By the hash of the cookie's value; those of an earlier life go on.
        self._sessions = {hashed: Session(r, used_s) for hashed, (role, used_s) in saved for r in ROLES if r == role}
        self._tries = Allowances(TRIES, 1 / TRY_AGAIN_S, clock)
        self._all_tries = Allowances(TRIES_OF_ALL, 1.0, clock)

    # --- sessions ---

    def open_session(self, role: Role) -> str:
        """The cookie's value of a new session."""
        value, now_s = secrets.token_urlsafe(32), self._clock()
        while len(self._sessions) >= MAX_SESSIONS:
            oldest = min(self._sessions, key=lambda h: self._sessions[h].used_s)
            del self._sessions[oldest]
        self._sessions[digest(value)] = Session(role, now_s)
        self._save()
        return value

    def role(self, cookie: str | None, *, used: bool = True) -> Role | None:
        """The role of the session that a cookie names, if there is one; `used`: it counts as a sign of life."""
        hashed = digest(cookie) if cookie else ""
        session, now_s = self._sessions.get(hashed), self._clock()
        if session is None:
            return None
        if now_s - session.used_s > SESSION_S:
            del self._sessions[hashed]
            return None
        if used:
            session.used_s = now_s
        return session.role

    def close_session(self, cookie: str) -> None:
        """End a session; its cookie opens nothing any more."""
        self._sessions.pop(digest(cookie), None)
        self._save()

    def _save(self) -> None:
        self._files.save_sessions({hashed: (s.role, s.used_s) for hashed, s in self._sessions.items()})

    # --- links that work once ---

    def make_link(self) -> str:
        """A secret that opens one session."""
        return self._files.make_link()

    def use_link(self, secret: str) -> bool:
        """Whether the secret is one that nobody has used before; from now on it is used."""
        return self._files.use_link(secret)

    # --- tries ---

    def may_try(self, address: str) -> bool:
        """Whether an address may try a password or a link; each call is one try."""
        return self._tries.take(address) and self._all_tries.take("")

    def forgive(self, address: str) -> None:
        """A login went well: its tries count no more."""
        self._tries.give_back(address)
