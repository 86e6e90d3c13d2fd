"""Words for systemd in, one datagram to its socket out (sd_notify(3)); without systemd there is nobody to tell."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, MutableMapping

log = logging.getLogger(__name__)

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """The socket that systemd listens at."""

    def __init__(self, path: str, watchdog_s: float | None) -> None:
        self.watchdog_s = watchdog_s  # within so long it wants to hear WATCHDOG=1; None: it has no watchdog
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def tell(self, words: Mapping[str, str]) -> None:
        """Say it; never waits, never fails."""
        try:
            self._socket.sendto("\n".join(f"{key}={value}" for key, value in words.items()).encode(), self._address)
        except OSError as error:
            text = "systemd can't be told how the run is: %s"
            log.warning(text, error.strerror, extra={"once_key": "notify"})

    def close(self) -> None:
        """Say no more."""
        self._socket.close()


def find_notifier(environment: MutableMapping[str, str] | None = None) -> Notifier | None:
    """The socket that this process was started with, if systemd has started it; nodes don't inherit it."""
    variables = os.environ if environment is None else environment
    path, microseconds, pid = (variables.pop(name, "") for name in VARIABLES)
    if not path.startswith(("/", "@")):
        return None
    watched = microseconds.isdigit() and int(microseconds) > 0 and pid in ("", str(os.getpid()))
    return Notifier(path, int(microseconds) / 1e6 if watched else None)
