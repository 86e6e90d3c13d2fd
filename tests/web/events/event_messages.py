"""Events as a publisher sends them, made by hand."""

from __future__ import annotations

from stream.messages import Stamp
from stream.public_wire.events import Event, LineCounts, ZoneCounts, pack_events


def events_parts(number: int, *events: Event, camera: str = "door") -> list[bytes]:
    """An events message with one zone and one line."""
    stamp = Stamp(camera=camera, session=0, frame_id=number, captured_ns=number, captured_unix_ns=number * 10**9)
    counts = {"yard": ZoneCounts(inside=[1], entered=number, left=0)}, {"gate": LineCounts(to_right=2, to_left=1)}
    return pack_events(stamp, (60, 80), list(events), counts, published_ns=1, publisher="ab", sequence=number)


def entered(object_id: int) -> Event:
    return Event(kind="enter", object_id=object_id, state="tracked", zone="yard", count=1)
