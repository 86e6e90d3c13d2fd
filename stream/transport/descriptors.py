"""Open files: as many as the system lets us have, and an error instead of an abort where they are too few."""

from __future__ import annotations

import os
import resource

from stream.errors import ConfigError

# Open in the supervisor of a run with a recording and some clients: libzmq aborts a process that has none left.
NEEDED = 128
NEEDED_BY_THREADS = 256  # where all nodes are in that process
A_CAMERA, A_CAMERA_BY_THREADS = 32, 64  # for each camera beyond the first
CLIENTS = 1 / 3  # of all that clients may take: see `gate.py`
WANTED = 65_536  # more would only make whoever walks through all of them slow


def raise_descriptor_limit(*, threads: bool, cameras: int = 1) -> None:
    """Let this process, and those that it starts, open as many files as may be; ConfigError where they are too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    needed = (NEEDED_BY_THREADS if threads else NEEDED) + (cameras - 1) * _of_a_camera(threads)
    if most < needed:
        what = "a run" if cameras == 1 else f"a run of {cameras} cameras"
        raise ConfigError(f"only {most} files may be open at once; {what} needs {needed}: raise the limit (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def check_room_for_camera(*, threads: bool) -> None:
    """Refuse one more camera where clients and it might open more files than may be; ConfigError."""
    limit = _limit()
    if free_descriptors() - round(CLIENTS * limit) < _of_a_camera(threads):
        raise ConfigError(
            f"only {limit} files may be open at once, too few for another camera: remove one, or raise the limit "
            "(ulimit -Hn) and start again"
        )


def free_descriptors() -> int:
    """How many more files this process may open."""
    return _limit() - len(os.listdir("/proc/self/fd"))


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def _of_a_camera(threads: bool) -> int:
    return A_CAMERA_BY_THREADS if threads else A_CAMERA
