"""Addresses that people give: what a source is, and whether an endpoint is one that only this machine can reach."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

from stream.errors import ConfigError
from stream.settings.secrets import redact

SourceKind = Literal["demo", "camera", "rtsp", "network", "browser", "lavfi", "folder", "file"]
NETWORK_SCHEMES = ("http", "https", "udp", "srt", "rtmp", "rtmps")  # beside RTSP
LIVE_KINDS = ("camera", "rtsp", "network", "browser")  # what has no end and no past

MAX_IPC_PATH_BYTES = 107  # of a unix socket
MAX_PORT = 65535
_SAME_MACHINE = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # bound to every address -> one of them

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
# Characters that end the user and password of an address, or that FFmpeg reads otherwise, and how they are written.
_TO_WRITE = {"#": "%23", "?": "%3F", "/": "%2F", "[": "%5B", "]": "%5D", "@": "%40", " ": "%20", "%": "%25"}


def source_kind(source: str) -> SourceKind:
    """Which kind of source a string names; ConfigError for a scheme that is none of ours.

    What exists counts first: a file or a folder may be called `0001` or `demo`, and a film may lie in /dev/shm.
    """
    scheme = _SCHEME.match(source)
    if scheme and scheme[1].lower() in ("rtsp", "rtsps"):
        return "rtsp"
    if scheme and scheme[1].lower() in NETWORK_SCHEMES:
        return "network"
    if scheme and scheme[1].lower() != "file":
        raise ConfigError(
            f"--source {redact(source)}: unknown scheme {scheme[1]!r}; "
            "needs demo, a camera number or /dev/video*, rtsp://, http(s)://, udp://, srt://, rtmp://, browser, a "
            "file, a folder of frames, or lavfi:GRAPH"
        )
    path = source_path(source)
    kind = _on_disk(path)
    if kind is not None:
        return kind
    if path != source:
        return "file"
    if source in ("demo", "browser"):
        return cast(SourceKind, source)
    if source.startswith("lavfi:"):
        return "lavfi"
    return "camera" if source.isdigit() or source.startswith("/dev/video") else "file"


def source_path(source: str) -> str:
    """The path of a source that is one: as it is written where that exists, else as a file: URL says (RFC 8089)."""
    scheme, separator, rest = source.partition(":")
    if scheme.lower() != "file" or not separator or os.path.lexists(source):
        return source
    rest = rest.removeprefix("//")
    if os.path.exists(rest):  # never encoded, or no URL but a relative path behind file://
        return rest
    try:
        parts = urlsplit(source)
    except ValueError:  # a bracket where the host stands
        return rest
    host = "" if parts.netloc.lower() == "localhost" else parts.netloc
    return unquote(host + parts.path, errors="surrogateescape")


def _on_disk(path: str) -> SourceKind | None:
    """What a path leads to; None where there is nothing."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    if stat.S_ISCHR(mode):
        return "camera"
    return "folder" if stat.S_ISDIR(mode) else "file"


def is_playlist(source: str) -> bool:
    """Whether an address is that of HLS, whose pictures come a segment at a time."""
    path = re.split(r"[?#]", source, maxsplit=1)[0].lower()
    return path.startswith(("http://", "https://")) and path.endswith((".m3u8", ".m3u"))


def check_credentials(source: str) -> None:
    """Refuse an address whose user or password holds a character that has to be written otherwise."""
    scheme, _, rest = source.partition("://")
    is_rtsp = scheme.lower().startswith("rtsp")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    odd = ""
    if re.search(r"\s", source):
        odd = " "
    elif (
        "@" in rest and "@" not in authority and (is_rtsp or not _is_host(authority))
    ):  # the last @ ends the password, and the address seems to end before it
        odd = next(c for c in rest if c in "/?#")
    elif "[" in authority.rpartition("@")[0] or "]" in authority.rpartition("@")[0]:
        odd = "[" if "[" in authority.rpartition("@")[0] else "]"
    if odd:
        table = ", ".join(f"{c if c != ' ' else 'a space'} as {code}" for c, code in _TO_WRITE.items())
        raise ConfigError(
            f"--source: the user or password of the address holds {'a space' if odd == ' ' else repr(odd)}, which "
            f"has to be written as {_TO_WRITE[odd]} ({table})"
        )


def _is_host(authority: str) -> bool:
    """Whether it is HOST or HOST:PORT, and not the beginning of a user and a password."""
    return re.fullmatch(r"[^:]*(:\d*)?|\[[^\]]*\](:\d*)?", authority) is not None


def check_endpoint(key: str, endpoint: str, *, secured: bool, insecure: bool, any_port: bool = True) -> None:
    """Refuse an address that is none, or that others could reach without keys.

    `any_port`: port 0 (or *) lets the system choose one, which is announced as bound.
    """
    transport, separator, address = endpoint.partition("://")
    if not separator or transport not in ("tcp", "ipc") or not address:
        raise ConfigError(f"{key} is {endpoint!r}; needs tcp://HOST:PORT or ipc://PATH")
    if transport == "ipc":
        _check_ipc(key, address)
        return
    host, port = _host_and_port(key, endpoint, address)
    if host != "*" and not is_loopback(host) and not _is_bindable(host):
        raise ConfigError(f"{key} is {endpoint}; {host!r} is no address in numbers and no network interface of ours")
    if not is_loopback(host) and not secured and not insecure:
        raise ConfigError(
            f"{key} is {endpoint}, which other machines can reach; give graph.keys (CURVE), or --insecure to allow it"
        )
    if port == 0 and not any_port:
        raise ConfigError(f"{key} is {endpoint}; both ends have to know the port: give one")


def connectable(endpoint: str) -> str:
    """The address that programs of this machine connect to, of one that a socket is bound to; "" while unknown."""
    transport, _, address = endpoint.partition("://")
    if transport != "tcp":
        return endpoint
    host, _, port = address.rpartition(":")
    if port in ("0", "*"):  # the system is going to choose one
        return ""
    return f"tcp://{_SAME_MACHINE.get(host, host)}:{port}"


def is_loopback(host: str) -> bool:
    """Whether what a socket of that host is bound or connected to is this machine alone."""
    if host in ("localhost", "lo"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def _check_ipc(key: str, path: str) -> None:
    if path.startswith("@"):
        raise ConfigError(
            f"{key} is an abstract ipc address, which every user of this machine can reach; give a path in a folder of "
            "your own, for example ipc:///run/user/1000/masks"
        )
    if len(os.fsencode(path)) > MAX_IPC_PATH_BYTES:
        raise ConfigError(
            f"{key}: the path has {len(os.fsencode(path))} bytes; a socket's path has at most {MAX_IPC_PATH_BYTES} "
            "(characters beyond ASCII count for several)"
        )


def _host_and_port(key: str, endpoint: str, address: str) -> tuple[str, int]:
    """The two parts of HOST:PORT; ConfigError where it is anything else."""
    parts = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9._*-]+):(\d+|\*)", address)
    if parts is None:
        missing = not re.search(r":(\d+|\*)$", address)
        raise ConfigError(
            f"{key} is {endpoint!r}; needs "
            + ("a port, as in tcp://127.0.0.1:5556" if missing else "tcp://HOST:PORT, the host in numbers, IPv6 in [ ]")
        )
    port = 0 if parts[2] == "*" else int(parts[2])
    if port > MAX_PORT:
        raise ConfigError(f"{key} is {endpoint!r}; a port is at most {MAX_PORT}")
    return parts[1], port


def _is_bindable(host: str) -> bool:
    """Whether ZeroMQ takes the host as it is: numbers, or the name of an interface."""
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host in [name for _, name in socket.if_nameindex()]
    return True
