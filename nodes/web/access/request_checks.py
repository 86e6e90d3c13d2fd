"""Host and Origin of a request in, whether it is meant for us out: against DNS rebinding and foreign pages.

A page on another site can send requests here, with the browser's cookies where they are not SameSite, and with DNS
rebinding even read the answers; but it can't make the browser lie about Host and Origin.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

from stream.settings.addresses import is_loopback

CHANGE_HEADER = "X-SAM-PT"  # a header of our own: no form and no foreign page can send it without being asked first
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")


class Hosts:
    """The names that this server answers to."""

    def __init__(self, bound: str, further: Iterable[str] = ()) -> None:
        """`bound`: the address that it listens on; `further`: names that the user has given."""
        self._local_only = is_loopback(bound)
        self._names = {"localhost", *(name.lower().strip("[]") for name in further)}
        if not self._local_only:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def knows(self, host: str | None) -> bool:
        """Whether a Host header names us. The port is of no matter: it may be the near end of a tunnel."""
        parts = _HOST.fullmatch(host or "")
        if parts is None:
            return False
        name = parts["name"].lower().strip("[]").removesuffix(".")
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # Beyond loopback any address in numbers will do: rebinding needs a name to bind again.
        return address.is_loopback or not self._local_only


def is_same_origin(origin: str | None, host: str | None) -> bool:
    """Whether an Origin header, where there is one, is the origin that the request was sent to."""
    if origin is None:
        return True
    scheme, separator, name = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and name.lower() == (host or "").lower()
