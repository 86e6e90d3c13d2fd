"""Addresses that people give: what a source is, whether an endpoint is safe, how both are shown without secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from stream.errors import ConfigError

SourceKind = Literal["demo", "camera", "rtsp", "lavfi", "folder", "file"]

LOOPBACK = ("127.", "localhost", "[::1]")

# All up to the last @ may be user and password: a password may hold an @ or a / itself (help texts are let alone). Some
# cameras want both in the path or the query instead (`/user=admin&password=x`, `?pwd=x`).
_CREDENTIALS = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)(?!\[?USER:PASSWORD)[^\s\"']*@")
_SECRETS = re.compile(r"(?i)\b((?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|secret|key)=)[^&;\s/\"']+")


def source_kind(source: str) -> SourceKind:
    """Which kind of source a string names; ConfigError for a scheme that is none of ours."""
    if source == "demo":
        return "demo"
    if source.isdigit() or source.startswith("/dev/"):
        return "camera"
    if source.startswith("lavfi:"):
        return "lavfi"
    scheme = re.match(r"^([A-Za-z][A-Za-z0-9+.-]*)://", source)
    if scheme:
        if scheme[1].lower() in ("rtsp", "rtsps"):
            return "rtsp"
        if scheme[1].lower() != "file":
            raise ConfigError(
                f"--source {redact(source)}: unknown scheme {scheme[1]!r}; "
                "needs demo, a camera number or /dev/video*, rtsp://, a file, a folder of frames, or lavfi:GRAPH"
            )
    return "folder" if Path(source.removeprefix("file://")).is_dir() else "file"


def redact(text: str) -> str:
    """`text` without the user names, passwords and tokens of the addresses in it."""
    return _SECRETS.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text)) if "://" in text else text


def check_endpoint(key: str, endpoint: str, *, secured: bool, insecure: bool) -> None:
    """Refuse an address that is none, or that others could reach without keys."""
    transport, separator, address = endpoint.partition("://")
    if not separator or transport not in ("tcp", "ipc") or not address:
        raise ConfigError(f"{key} is {endpoint!r}; needs tcp://HOST:PORT or ipc://PATH")
    if transport == "ipc":
        if len(os.fsencode(address)) > 107:
            raise ConfigError(f"{key}: the path has {len(address)} characters; a socket's path has at most 107")
        return
    try:
        port = urlsplit(endpoint).port
    except ValueError:
        port = -1
    if port is None or port < 0:
        raise ConfigError(f"{key} is {endpoint!r}; needs a port, as in tcp://127.0.0.1:5556")
    if not address.startswith(LOOPBACK) and not secured and not insecure:
        raise ConfigError(
            f"{key} is {endpoint}, which other machines can reach; give graph.keys (CURVE), or --insecure to allow it"
        )
