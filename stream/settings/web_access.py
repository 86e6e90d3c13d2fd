"""What the page of `--web` may be opened to: its address in, ConfigError where others could reach it unprotected."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from stream.errors import ConfigError
from stream.settings.addresses import MAX_PORT, is_loopback
from stream.settings.config import Web

DEFAULT_ENDPOINT = "127.0.0.1:8080"
_ENDPOINT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9._-]+|\*):(?P<port>\d{1,6})")


def host_and_port(endpoint: str) -> tuple[str, int]:
    """("127.0.0.1", 8080) of "127.0.0.1:8080": the host without brackets, "0.0.0.0" for "*"; port 0 is any."""
    parts = _ENDPOINT.fullmatch(endpoint)
    if parts is None or int(parts["port"]) > MAX_PORT:
        raise ConfigError(
            f"--web (web.endpoint) is {endpoint!r}; needs HOST:PORT with a port of 0 to {MAX_PORT}, "
            f"for example {DEFAULT_ENDPOINT}, IPv6 in [ ]"
        )
    host = parts["host"].strip("[]")
    return ("0.0.0.0" if host == "*" else host), int(parts["port"])


def check_web(web: Web, *, insecure: bool) -> None:
    """Refuse an address that is none, and one that other machines reach without passwords and HTTPS."""
    if bool(web.certificate) != bool(web.key):
        missing, given = ("web.key", "web.certificate") if web.certificate else ("web.certificate", "web.key")
        raise ConfigError(f"{missing} is not set, {given} is; HTTPS needs both")
    if not web.endpoint:
        return
    host, _ = host_and_port(web.endpoint)
    if is_loopback(host) or insecure or web.insecure:
        return
    missing_parts = [
        what
        for what, there in (
            ("web.passwords (`python tools/ctl.py passwd FILE NAME` makes that file)", web.passwords),
            ("web.certificate and web.key (HTTPS)", web.certificate),
        )
        if not there
    ]
    if missing_parts:
        raise ConfigError(
            f"--web (web.endpoint) is {web.endpoint}, which others can reach; give {' and '.join(missing_parts)}, "
            "or --insecure to allow it without"
        )


def check_web_files(web: Web) -> None:
    """Refuse files that are not there, before anything is started."""
    for key in ("passwords", "certificate", "key", "metrics_token"):
        path = getattr(web, key)
        if path and not Path(path).is_file():
            raise ConfigError(f"web.{key} is {path!r}: no such file")


def check_web_packages() -> None:
    """Refuse to start where a package is missing that only the page needs."""
    missing = [name for name in ("aiohttp", "prometheus_client") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--web needs {' and '.join(missing)}; pip install -r requirements-web.txt -c constraints.txt"
        )
