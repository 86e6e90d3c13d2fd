"""What the server needs before it can serve: listening socket, certificate, token; each error says what is wrong."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from nodes.web.access.passwords import read_accounts
from stream.errors import ConfigError
from stream.settings.config import Web
from stream.settings.web_access import host_and_port

BACKLOG = 128


@dataclass(frozen=True)
class Door:
    """The listening socket, and how it is reached."""

    socket: socket.socket
    host: str  # as bound
    url: str  # for a browser on this machine, or on others where they can reach it


def check_page(web: Web) -> None:
    """Do all that the server does at its start, and leave nothing open; ConfigError says what it would fail at."""
    if web.passwords:
        read_accounts(web.passwords)
    read_certificate(web)
    read_token(web.metrics_token)
    open_door(web).socket.close()


def open_door(web: Web, earlier_port: int = 0) -> Door:
    """The listening socket; ConfigError says why there is none.

    Where the system is to choose the port, that of an earlier life of this node is taken again if it is free, so that
    the pages that are open find it.
    """
    host, port = host_and_port(web.endpoint)
    if port == 0 and earlier_port:
        with contextlib.suppress(ConfigError):
            return _open_door(web, host, earlier_port)
    return _open_door(web, host, port)


def _open_door(web: Web, host: str, port: int) -> Door:
    scheme = "https" if web.certificate else "http"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"--web {web.endpoint}: {host} is no address of this machine ({error.strerror})") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(_why_not_bound(web.endpoint, error)) from None
    bound_host, bound_port = listening.getsockname()[:2]
    shown = _own_address() if bound_host in ("0.0.0.0", "::") else "127.0.0.1" if host == "localhost" else bound_host
    name = f"[{shown}]" if ":" in shown else shown
    return Door(listening, bound_host, f"{scheme}://{name}:{bound_port}/")


def _why_not_bound(endpoint: str, error: OSError) -> str:
    reason = {
        errno.EADDRINUSE: "is in use by another program; stop that one or choose another port",
        errno.EACCES: "needs a port of 1024 or more, or the right to use a lower one",
        errno.EADDRNOTAVAIL: "is no address of this machine",
    }.get(error.errno or 0, f"can't be bound ({error.strerror})")
    return f"--web (web.endpoint) {endpoint} {reason}"


def _own_address() -> str:
    """An address that other machines reach this one at, as far as the routes tell; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def read_certificate(web: Web) -> ssl.SSLContext | None:
    """What HTTPS needs; None where the page is served without."""
    if not web.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(web.certificate, web.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"web.certificate {web.certificate} and web.key {web.key} are no certificate and its key ({error.strerror})"
        ) from None
    return context


def read_token(path: str) -> str:
    """The first line of a file; "" for no file."""
    if not path:
        return ""
    try:
        token = (Path(path).read_text().splitlines() or [""])[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"web.metrics_token {path}: can't be read ({error})") from None
    if len(token) < 16:
        raise ConfigError(f"web.metrics_token {path}: its first line has {len(token)} characters; needs 16 or more")
    return token
