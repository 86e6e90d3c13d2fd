"""The headers of what the PUB socket carries: a struct for each schema, and how one is read off the wire.

docs/protocol.md is the reference. What is written and what is read has the same struct, so that they can't drift apart.
Unknown keys are skipped (a newer publisher may add some); whatever else does not fit is a `MessageError`, raised before
anything large is allocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from stream.errors import MessageError
from stream.geometry import MAX_PIXELS
from stream.messages import Origin, Stamp, State
from stream.public_wire.codecs import Codec
from stream.transport.wire import MAX_HEADER_BYTES, MAX_PARTS

VERSION = 1  # of every schema here; new keys may come within a version, nothing else may change
MAX_SIDE = 65535  # px
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_POINTS = 4096  # of an object
FARTHEST = 1e6  # px; a point that ran away farther is sent as being here

Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Px = Annotated[int, Meta(ge=0, le=MAX_SIDE)]
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
Share = Annotated[float, Meta(ge=0, le=1)]
Coordinate = Annotated[float, Meta(ge=-FARTHEST, le=FARTHEST)]
Label = Annotated[int, Meta(ge=0, le=1)]
ObjectId = Annotated[int, Meta(ge=1, le=65535)]  # 0 is the background of a label image
Camera = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What every header begins with."""

    schema: str
    version: int
    camera: Camera


class StampedHeader(Header, frozen=True, kw_only=True):
    """The header of what belongs to one frame: its Stamp, and its size in px."""

    session: Count
    frame_id: Count
    captured_ns: Count
    captured_unix_ns: Count
    pts_s: float | None = msgspec.field(name="pts")
    epoch: Count
    width: Side
    height: Side

    @property
    def stamp(self) -> Stamp:
        """The frame's Stamp."""
        return Stamp(**{name: getattr(self, name) for name in Stamp.__struct_fields__})


class ObjectHeader(msgspec.Struct, frozen=True, kw_only=True):
    """One object in the header of a masks message."""

    id: ObjectId
    state: State
    origin: Origin
    score: Share
    bbox: tuple[Px, Px, Px, Px]  # x, y, width, height
    area: Count  # px
    points: Annotated[list[tuple[Coordinate, Coordinate, Label, Share]], Meta(max_length=MAX_POINTS)]
    codec: Codec
    payload: Count  # 0: the first part after the header
    shape: tuple[Px, Px]  # rows, columns of the picture in the payload
    label: Annotated[str, Meta(max_length=64)] = ""  # what the user calls it; none from an older publisher
    reason: Annotated[str, Meta(max_length=200)] = ""  # why it is uncertain or lost; none from an older publisher
    points_final: bool | msgspec.UnsetType = msgspec.UNSET  # sent where it is False alone


class MasksHeader(StampedHeader, frozen=True, kw_only=True):
    """The header of `masks/<camera>`."""

    published_ns: Count
    publisher: Annotated[str, Meta(min_length=1, max_length=64)]
    sequence: Count
    passed_over: Count
    objects: Annotated[list[ObjectHeader], Meta(max_length=MAX_PARTS - 2)]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """The picture in the header of a scenes message."""

    payload: Count  # the last
    codec: Literal["jpeg"]
    width: Side  # px of the JPEG; a relay may send it smaller than the frame
    height: Side


class SceneHeader(MasksHeader, frozen=True, kw_only=True):
    """The header of `scenes/<camera>`: that of the masks, and the picture."""

    picture: Picture


class FrameHeader(StampedHeader, frozen=True, kw_only=True):
    """The header of `frames/<camera>`; its one payload is a JPEG of that size."""


class StatusHeader(Header, frozen=True, kw_only=True):
    """The whole of `status/<camera>`."""

    status: dict[str, Any]


def schema_of(room: str) -> str:
    """The schema of the messages in a room: `sam-pt-live/masks`."""
    return f"sam-pt-live/{room}"


def topic_of(header: Header) -> bytes:
    """`masks/door` for the schema `sam-pt-live/masks` of the camera `door`."""
    return f"{header.schema.rpartition('/')[2]}/{header.camera}".encode()


Parts = Sequence[bytes | memoryview]
H = TypeVar("H", bound=Header)


def read_header(parts: Parts, room: str, kind: type[H]) -> H:
    """The header, once the parts' number and sizes, the schema, its version and the topic are as needed."""
    if not 2 <= len(parts) <= MAX_PARTS:
        raise MessageError(f"{len(parts)} parts came; a message has 2 to {MAX_PARTS}")
    if (total := sum(len(p) for p in parts)) > MAX_MESSAGE_BYTES:
        raise MessageError(f"{total} bytes came; a message has at most {MAX_MESSAGE_BYTES}")
    if len(parts[1]) > MAX_HEADER_BYTES:
        raise MessageError(f"a header of {len(parts[1])} bytes came; it has at most {MAX_HEADER_BYTES}")
    try:
        # Decoding by type passes over keys that no field has, so strange keys cost no memory.
        named = msgspec.json.decode(parts[1], type=Header)
        if (named.schema, named.version) != (schema_of(room), VERSION):
            raise MessageError(
                f"schema {named.schema[:40]!r} version {named.version} came; "
                f"this reader speaks {schema_of(room)!r} version {VERSION}"
            )
        header = msgspec.json.decode(parts[1], type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"no {room} header: {str(error)[:200]}") from None
    if parts[0] != topic_of(header):
        raise MessageError(f"topic {bytes(parts[0][:80])!r} came with a header for {topic_of(header)!r}")
    return header


def checked_size(header: StampedHeader) -> tuple[int, int]:
    """(height, width) of the frame; MessageError where that is more than is read."""
    if header.width * header.height > MAX_PIXELS:
        raise MessageError(f"a frame of {header.width}x{header.height} came; at most {MAX_PIXELS} px are read")
    return header.height, header.width
