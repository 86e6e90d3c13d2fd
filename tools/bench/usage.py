"""A process and its children in /proc; who they are, the CPU time they took, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LIBZMQ = "ZMQbg/"  # how libzmq names the threads that move bytes: ZMQbg/IO/0 and ZMQbg/Reaper


@dataclass(frozen=True)
class Usage:
    """What one process has used up to now."""

    cpu_s: float  # all of its threads, also those that have ended
    libzmq_s: float  # CPU time of libzmq's own threads, a part of cpu_s
    rss_mb: float
    descriptors: int
    threads: int


def usage_of_graph(pid: int) -> dict[str, Usage]:
    """Usage by node name, of the supervisor `pid` and the nodes it started; who is just ending is left out."""
    usages: dict[str, Usage] = {}
    for child in (pid, *_children(pid)):
        try:
            usages["supervisor" if child == pid else _node(child)] = usage(child)
        except (OSError, IndexError, ValueError):
            continue
    return usages


def usage(pid: int) -> Usage:
    """Usage of one process; OSError when it is gone."""
    fields = _stat(pid)
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S,
        libzmq_s=sum(_libzmq_s(pid)),
        rss_mb=int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20,
        descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        threads=int(fields[17]),
    )


def _libzmq_s(pid: int) -> Iterator[float]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith(LIBZMQ):
            yield int((task / "schedstat").read_text().split()[0]) / 1e9  # ns on a core: `stat` has only 10 ms ticks


def pids_of_graph(pid: int) -> list[int]:
    """The supervisor `pid` and the processes that it has started."""
    return [pid, *_children(pid)]


def pss_mb(pid: int) -> float:
    """Memory of a process, each page that others have, too, divided by how many do; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def cpu_below(pid: int, word: str) -> float:
    """CPU time of the processes below `pid` that have `word` on their command line, s."""
    total = 0.0
    for child in _children(pid):
        total += cpu_below(child, word)
        try:
            words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            total += usage(child).cpu_s if word in words else 0.0
        except OSError:
            continue
    return total


def _children(pid: int) -> Iterator[int]:
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and int(_stat(int(path.name))[1]) == pid:
                yield int(path.name)
        except (OSError, IndexError):
            continue


def _node(pid: int) -> str:
    """NAME of `python -m nodes NAME FOLDER`."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index("nodes") + 1]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on: its name may hold blanks and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
