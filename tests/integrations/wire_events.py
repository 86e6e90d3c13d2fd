"""Messages of a publisher, as the nodes that tell other systems hear them."""

from __future__ import annotations

from typing import Any

from stream.messages import Stamp
from stream.public_wire.events import Event, LineCounts, ZoneCounts, pack_events
from stream.public_wire.messages import pack_status

Zone = tuple[list[int], int, int]  # ids inside, entered, left
RUNNING = {
    "state": "running",
    "reason": "",
    "since": 1_800_000_000.0,
    "frame_age_s": 0.04,
    "recent": {"published_hz": 24.9, "latency_ms": {"p50": 31.5, "p95": 60.0}},
    "objects": [{"id": 1, "state": "tracked"}, {"id": 2, "state": "lost"}],
}


def status(camera: str = "door", **keys: Any) -> list[bytes]:
    """A status message of a camera that runs, but for these keys."""
    return pack_status(camera, {**RUNNING, **keys})


def events(
    *told: Event,
    camera: str = "door",
    sequence: int = 0,
    zones: dict[str, Zone] | None = None,
    lines: dict[str, tuple[int, int]] | None = None,
) -> list[bytes]:
    """An events message."""
    counts = (
        {name: ZoneCounts(inside=i, entered=e, left=left) for name, (i, e, left) in (zones or {}).items()},
        {name: LineCounts(to_right=right, to_left=left) for name, (right, left) in (lines or {}).items()},
    )
    stamp = Stamp(
        camera=camera, session=0, frame_id=sequence, captured_ns=5, captured_unix_ns=1_800_000_000_123_456_789
    )
    return pack_events(stamp, (90, 160), list(told), counts, published_ns=9, publisher="p1", sequence=sequence)


def enter(count: int = 1) -> Event:
    """An object has come into the yard."""
    return Event(kind="enter", object_id=1, state="tracked", label="van", zone="yard", count=count)
