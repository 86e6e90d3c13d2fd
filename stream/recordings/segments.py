"""The files of a recording: a segment's name and times, and the masks beside it. Nothing here touches a disk."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

VIDEO, MASKS = ".mp4", ".masks.jsonl"
INDEX = "index.json"
_START = r"\d{8}T\d{6}\.\d{3}Z"
_NAME = re.compile(rf"(?P<camera>[A-Za-z0-9._-]{{1,64}})-(?P<start>{_START})")


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment of a recording that is finished."""

    name: str  # of its files, without their endings: CAMERA-20261127T031500.123Z
    start_unix_ns: int
    end_unix_ns: int
    video_bytes: int
    masks_bytes: int = 0
    origin_pts_s: float | None = None  # the source's presentation time at time 0 of the video
    live: bool = True  # False: of a finished clip, whose own times alone mean anything

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return self.video_bytes + self.masks_bytes


class OpenSegment(msgspec.Struct, frozen=True, kw_only=True):
    """The segment that is being written."""

    name: str
    start_unix_ns: int
    origin_pts_s: float | None = None
    live: bool = True


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What `index.json` holds."""

    recordings: int = 1  # the version of this form
    camera: str
    segments: list[Segment] = []  # the oldest first
    writing: OpenSegment | None = None


def segment_name(camera: str, start_unix_ns: int) -> str:
    """The name of a segment that begins then, in UTC to the ms: CAMERA-20261127T031500.123Z."""
    return f"{camera}-{start_text(start_unix_ns)}"


def start_text(start_unix_ns: int) -> str:
    """A moment as names hold it: 20261127T031500.123Z."""
    moment = datetime.fromtimestamp(start_unix_ns // 1_000_000_000, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{start_unix_ns // 1_000_000 % 1000:03d}Z"


def start_of(name: str) -> int | None:
    """When a segment of that name begins, ns since 1970; None where it is no such name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    whole, _, rest = match["start"].partition(".")
    try:
        moment = datetime.strptime(whole, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000_000 + int(rest[:3]) * 1_000_000
