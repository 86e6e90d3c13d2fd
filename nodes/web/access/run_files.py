"""What the page keeps in the run's own folder, which nobody but its user can read: links, sessions, its address.

So the page's node can be restarted without anybody logging in again, and `tools/ctl.py link` can make another link: who
may write there may steer the run anyway. Secrets lie there as their hashes.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from nodes.web.access.hashing import digest

LINKS = "web-links"  # a folder of empty files, each named by the hash of a link's secret
SESSIONS = "web-sessions.json"
ADDRESS = "web.json"
MAX_LINKS = 16  # that nobody has used; the oldest gives way


@dataclass(frozen=True)
class Address:
    """Where the page is."""

    url: str
    port: int
    by_password: bool  # it takes no links


class RunFiles:
    """The page's files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._links = folder / LINKS

    def make_link(self) -> str:
        """A secret that opens one session."""
        secret = secrets.token_urlsafe(24)
        self._links.mkdir(mode=0o700, exist_ok=True)
        unused = sorted(self._links.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for old in unused[: max(0, len(unused) - MAX_LINKS + 1)]:
            old.unlink(missing_ok=True)
        (self._links / digest(secret)).touch(mode=0o600)
        return secret

    def use_link(self, secret: str) -> bool:
        """Whether the secret is one that nobody has used before; from now on it is used."""
        try:
            (self._links / digest(secret)).unlink()  # only one can remove it, so only one can use it
        except OSError:
            return False
        return True

    def save_sessions(self, sessions: dict[str, tuple[str, float]]) -> None:
        """Write what another life of the server needs; never fails."""
        with contextlib.suppress(OSError):
            self._write(SESSIONS, sessions)

    def load_sessions(self) -> dict[str, tuple[str, float]]:
        """What an earlier life has written: hash -> (role, when it was used last)."""
        try:
            found = json.loads((self._folder / SESSIONS).read_text())
            return {str(hashed): (str(role), float(used_s)) for hashed, (role, used_s) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def save_address(self, address: Address) -> None:
        """Write where the page is; never fails."""
        with contextlib.suppress(OSError):
            self._write(ADDRESS, asdict(address))

    def load_address(self) -> Address | None:
        """Where the page is, or was in an earlier life."""
        try:
            return Address(**json.loads((self._folder / ADDRESS).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, name: str, value: object) -> None:
        part = self._folder / f".{name}.part"
        part.touch(mode=0o600)
        part.write_text(json.dumps(value))
        part.replace(self._folder / name)
