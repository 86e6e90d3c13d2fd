"""Which segments give way: segments with sizes and times, limits and the disk in; those to delete out, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.recordings.segments import Segment

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """What a folder of recordings may take; 0: no limit."""

    max_days: float = 0.0
    max_bytes: int = 0
    keep_free_bytes: int = 0  # of the disk


@dataclass(frozen=True)
class Disk:
    """The folder and its disk at this moment."""

    used_bytes: int  # by the folder, the segment under way included
    free_bytes: int  # of the disk


def to_delete(
    segments: Sequence[Segment], limits: Limits, disk: Disk, needed_bytes: int, now_unix_ns: int
) -> list[Segment]:
    """The segments that must go so that `needed_bytes` can be written: whole ones, the oldest first, as few as will do.

    `segments` are those that are finished, the oldest first; the one under way is not among them.
    """
    gone: list[Segment] = []
    used, free = disk.used_bytes, disk.free_bytes
    for segment in segments:
        expired = limits.max_days > 0 and segment.end_unix_ns < now_unix_ns - limits.max_days * DAY_NS
        if not expired and has_room(limits, Disk(used, free), needed_bytes):
            break
        gone.append(segment)
        used, free = used - segment.bytes, free + segment.bytes
    return gone


def has_room(limits: Limits, disk: Disk, needed_bytes: int) -> bool:
    """Whether `needed_bytes` more stay within the limits."""
    if limits.max_bytes and disk.used_bytes + needed_bytes > limits.max_bytes:
        return False
    return disk.free_bytes - needed_bytes >= limits.keep_free_bytes
