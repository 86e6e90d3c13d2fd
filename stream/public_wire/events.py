"""What `events/<camera>` carries: what objects did, in and out of zones, across lines, in a JSON header alone."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream.errors import MessageError
from stream.messages import Stamp, State
from stream.public_wire.headers import (
    VERSION,
    Count,
    ObjectId,
    Parts,
    StampedHeader,
    read_header,
    schema_of,
    topic_of,
)

Kind = Literal["appeared", "lost", "reacquired", "removed", "state", "enter", "leave", "dwell", "crossing"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that an object did on the frame of its message."""

    kind: Kind
    object_id: ObjectId = msgspec.field(name="object")
    state: State  # of the object then: an `uncertain` one may not have done it
    label: Annotated[str, Meta(max_length=64)] = ""
    zone: str | None = None  # enter, leave, dwell: the polygon's name
    line: str | None = None  # crossing: the line's name
    direction: Literal["to_right", "to_left"] | None = None  # crossing
    count: Count | None = None  # enter, leave, dwell: objects in the zone after it; crossing: so far that way
    inside_s: float | None = None  # leave, dwell: for how long it was inside
    reason: Annotated[str, Meta(max_length=200)] = ""  # leave: `lost`, `removed`; lost: in a few words
    before: State | None = None  # state: what it was before


class ZoneCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A polygon as it is now."""

    inside: list[ObjectId]
    entered: Count  # events so far
    left: Count


class LineCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A line: crossings so far."""

    to_right: Count
    to_left: Count


class EventsHeader(StampedHeader, frozen=True, kw_only=True):
    """The whole of `events/<camera>`."""

    published_ns: Count
    publisher: Annotated[str, Meta(min_length=1, max_length=64)]
    sequence: Count
    events: list[Event]
    zones: dict[str, ZoneCounts]
    lines: dict[str, LineCounts]


def pack_events(
    stamp: Stamp,
    size: tuple[int, int],
    events: list[Event],
    counts: tuple[dict[str, ZoneCounts], dict[str, LineCounts]],
    *,
    published_ns: int,
    publisher: str,
    sequence: int,
) -> list[bytes]:
    """[topic, header] of what happened on a frame of `size` (height, width)."""
    header = EventsHeader(
        schema=schema_of("events"),
        version=VERSION,
        **{name: getattr(stamp, name) for name in Stamp.__struct_fields__},
        width=size[1],
        height=size[0],
        published_ns=published_ns,
        publisher=publisher,
        sequence=sequence,
        events=events,
        zones=counts[0],
        lines=counts[1],
    )
    return [topic_of(header), msgspec.json.encode(header)]


def unpack_events(parts: Parts) -> EventsHeader:
    """The events message in the parts; MessageError says why there is none."""
    header = read_header(parts, "events", EventsHeader)
    if len(parts) != 2:
        raise MessageError(f"{len(parts)} parts came; an events message has 2")
    return header
