"""Listening sockets for clients from outside, and the options of their connections."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket as socketlib
import struct
import tempfile

from stream.errors import ConfigError

# Connections that wait to be accepted, as many as Linux allows by itself: a client that finds no place tries again
# after 1, 3, 7 s, and a busy machine fills 512 places in a second of a flood.
BACKLOG = 4096
# A vanished client is noticed by TCP's own keep-alive.
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 10, 5, 3
LONGEST_FOLDER_BYTES = 60  # a socket's path has at most 107


def listen_at_path(path: str) -> socketlib.socket:
    """A listening unix socket; the file that a dead program left there gives way."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socketlib.socket(socketlib.AF_UNIX, socketlib.SOCK_STREAM | socketlib.SOCK_NONBLOCK)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def listen_at_address(endpoint: str) -> socketlib.socket:
    """A listening TCP socket at tcp://HOST:PORT: numbers, *, localhost or the name of an interface; PORT may be *."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    family = socketlib.AF_INET6 if host.startswith("[") else socketlib.AF_INET
    number = 0 if port == "*" else int(port)
    listener = socketlib.socket(family, socketlib.SOCK_STREAM | socketlib.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_REUSEADDR, 1)
        if family == socketlib.AF_INET6:
            listener.setsockopt(socketlib.IPPROTO_IPV6, socketlib.IPV6_V6ONLY, 0)
        found = socketlib.getaddrinfo(_numbers(host, listener), number, family, socketlib.SOCK_STREAM)
        listener.bind(found[0][4])
        listener.listen(BACKLOG)
    except socketlib.gaierror:
        listener.close()
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from None
    except OSError:
        listener.close()
        raise
    return listener


def _numbers(host: str, probe: socketlib.socket) -> str:
    """The address in numbers of what a host may be called."""
    if host == "*":
        return "0.0.0.0"
    if host in [name for _, name in socketlib.if_nameindex()]:
        siocgifaddr = 0x8915
        answer = fcntl.ioctl(probe.fileno(), siocgifaddr, struct.pack("256s", host.encode()[:15]))
        return socketlib.inet_ntoa(answer[20:24])
    return host.strip("[]")


def address_of(listener: socketlib.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_of(connection: socketlib.socket) -> str:
    """Who is at the other end: an address (of IPv6 the network), or a process of this machine."""
    if connection.family == socketlib.AF_UNIX:
        pid, _, _ = struct.unpack("3i", connection.getsockopt(socketlib.SOL_SOCKET, socketlib.SO_PEERCRED, 12))
        return f"process {pid}"
    with contextlib.suppress(OSError, ValueError):  # it has broken off
        address = ipaddress.ip_address(connection.getpeername()[0].partition("%")[0])
        if address.version == 6 and address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))  # a host may have all of its addresses
        return str(address)
    return "nobody"


def keep_alive(socket: socketlib.socket) -> None:
    socket.setsockopt(socketlib.IPPROTO_TCP, socketlib.TCP_NODELAY, 1)
    socket.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_KEEPALIVE, 1)
    socket.setsockopt(socketlib.IPPROTO_TCP, socketlib.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    socket.setsockopt(socketlib.IPPROTO_TCP, socketlib.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    socket.setsockopt(socketlib.IPPROTO_TCP, socketlib.TCP_KEEPCNT, KEEPALIVE_PROBES)


def connect_unseen(descriptor: int) -> socketlib.socket:
    """Connect to the unix socket whose file the descriptor is of."""
    inside = socketlib.socket(socketlib.AF_UNIX, socketlib.SOCK_STREAM | socketlib.SOCK_NONBLOCK)
    try:
        inside.connect(f"/proc/self/fd/{descriptor}")
    except OSError:
        inside.close()
        raise
    return inside


def short_folder() -> str:
    """A folder for temporary files whose path leaves room for a socket's name."""
    found = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.access(found, os.W_OK):
        found = tempfile.gettempdir()
    return found if len(os.fsencode(found)) <= LONGEST_FOLDER_BYTES else "/tmp"


def why_not_bound(endpoint: str, number: int | None, words: str | None) -> str:
    """What a message says of an endpoint that can't be listened at, from the number and the words of an OSError."""
    reason = {
        errno.EADDRINUSE: "is in use by another program; stop that one or choose another port",
        errno.EADDRNOTAVAIL: "is no address of this machine",
        errno.ENODEV: "is no address of this machine",
        errno.EACCES: "may not be bound by this user",
        errno.EPERM: "may not be bound by this user",
        errno.ENOENT: "lies in a folder that does not exist",
    }.get(number or 0, f"can't be used ({words})")
    return f"endpoint {endpoint} {reason}"


def is_listening(path: str) -> bool:
    """Whether a program takes connections at a unix socket; ZeroMQ would take the path away from it without a word."""
    with socketlib.socket(socketlib.AF_UNIX, socketlib.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:  # its backlog is full
            return True
        except OSError:
            return False
        return True


def check_free(key: str, endpoint: str) -> None:
    """Refuse an endpoint that can't be listened at now; ConfigError, which begins with the config's key."""
    try:
        if not endpoint.startswith("ipc://"):
            listen_at_address(endpoint).close()
            return
        path = endpoint.removeprefix("ipc://")
        if is_listening(path):
            raise OSError(errno.EADDRINUSE, "")
        if not os.path.isdir(os.path.dirname(path) or "."):
            raise OSError(errno.ENOENT, "")
    except OSError as error:
        raise ConfigError(f"{key}: {why_not_bound(endpoint, error.errno, error.strerror)}") from None
