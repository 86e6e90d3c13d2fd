"""Open files: as many as the system lets us have, and an error instead of an abort where they are too few."""

from __future__ import annotations

import os
import resource

from stream.errors import ConfigError

# Open in the supervisor of a run with a recording and some clients: libzmq aborts a process that has none left.
NEEDED = 128
NEEDED_BY_THREADS = 256  # where all nodes are in that process
WANTED = 65_536  # more would only make whoever walks through all of them slow


def raise_descriptor_limit(*, threads: bool) -> None:
    """Let this process, and those that it starts, open as many files as may be; ConfigError where they are too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    needed = NEEDED_BY_THREADS if threads else NEEDED
    if most < needed:
        raise ConfigError(f"only {most} files may be open at once; a run needs {needed}: raise the limit (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def free_descriptors() -> int:
    """How many more files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = WANTED if soft == resource.RLIM_INFINITY else soft
    return limit - len(os.listdir("/proc/self/fd"))
