"""What the PUB socket carries: messages in, `[topic, header, payload...]` out, and back for consumers in Python.

docs/protocol.md is the reference. The structs below are the header of each schema, so that what is written and what is
read can't drift apart. Unknown keys are skipped (a newer publisher may add some); whatever else does not fit is a
`MessageError`, raised before anything large is allocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from nodes.publisher import image_codecs
from nodes.publisher.codecs import Codec, decode_mask, encode_mask, payload_shape
from stream.arrays import Array
from stream.errors import MessageError
from stream.geometry import MAX_PIXELS
from stream.messages import Frame, Masks, ObjectMask, Origin, Stamp, State
from stream.transport.wire import MAX_HEADER_BYTES, MAX_PARTS, to_json

VERSION = 1  # of every schema here; new keys may come within a version, nothing else may change
MAX_SIDE = 65535  # px
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_DECODED = 4 * MAX_PIXELS  # px that the payloads of one message may unpack to, all together
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


class MasksHeader(StampedHeader, frozen=True, kw_only=True):
    """The header of `masks/<camera>`."""

    published_ns: Count
    publisher: Annotated[str, Meta(min_length=1, max_length=64)]
    sequence: Count
    passed_over: Count
    objects: Annotated[list[ObjectHeader], Meta(max_length=MAX_PARTS - 2)]


class FrameHeader(StampedHeader, frozen=True, kw_only=True):
    """The header of `frames/<camera>`; its one payload is a JPEG of that size."""


class StatusHeader(Header, frozen=True, kw_only=True):
    """The whole of `status/<camera>`."""

    status: dict[str, Any]


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A masks message as a consumer gets it."""

    masks: Masks
    published_ns: int  # monotonic clock of the publishing host
    publisher: str  # changes when the publisher restarts
    sequence: int  # +1 with each masks message of that publisher: a gap is what this consumer lost

    def label_image(self) -> Array:
        """(H, W), each pixel the id of the object there, 0 background; uint8, or uint16 once an id is above 255."""
        return self.masks.label_image()


# --- out ------------------------------------------------------------------------------------------------------------


def pack_masks(masks: Masks, codec: Codec, published_ns: int, sequence: int, publisher: str) -> list[bytes]:
    """The parts of a `masks/<camera>` message; `publisher` is a random name that lives as long as `sequence` counts."""
    header = MasksHeader(
        **_stamped("masks", masks.stamp, masks.size),
        published_ns=published_ns,
        publisher=publisher,
        sequence=sequence,
        passed_over=masks.passed_over,
        objects=[_describe(o, codec, index, masks.size) for index, o in enumerate(masks.objects)],
    )
    payloads = [encode_mask(codec, o.mask, o.bbox, masks.size) for o in masks.objects]
    return [_topic(header), to_json(header), *payloads]


def pack_frame(stamp: Stamp, rgb: Array, quality: int) -> list[bytes]:
    """The parts of a `frames/<camera>` message: `rgb` (H, W, 3) uint8 as JPEG of a `quality` of 1 to 100."""
    header = FrameHeader(**_stamped("frames", stamp, (rgb.shape[0], rgb.shape[1])))
    return [_topic(header), to_json(header), image_codecs.encode_jpeg(rgb, quality)]


def pack_status(camera: str, status: dict[str, Any]) -> list[bytes]:
    """The parts of a `status/<camera>` message; `status` holds plain values."""
    header = StatusHeader(schema=_schema("status"), version=VERSION, camera=camera, status=status)
    return [_topic(header), to_json(header)]


def _stamped(topic: str, stamp: Stamp, size: tuple[int, int]) -> dict[str, Any]:
    header = {"schema": _schema(topic), "version": VERSION, "width": size[1], "height": size[0]}
    return header | msgspec.structs.asdict(stamp)


def _describe(o: ObjectMask, codec: Codec, payload: int, size: tuple[int, int]) -> ObjectHeader:
    # JSON has no NaN: a point that is nowhere is left out, and a score that is no number is 0.
    somewhere = np.isfinite(o.xy).all(axis=1)
    xy = np.clip(o.xy[somewhere].astype(np.float64), -FARTHEST, FARTHEST).round(2)
    visibility = np.clip(np.nan_to_num(o.visibility[somewhere].astype(np.float64)), 0.0, 1.0).round(3)
    labels = o.labels[somewhere]
    return ObjectHeader(
        id=o.object_id,
        state=o.state,
        origin=o.origin,
        score=round(min(1.0, max(0.0, float(o.score))), 4),  # in this order max() makes 0 of NaN
        bbox=o.bbox,
        area=int(np.count_nonzero(o.mask)),  # of what is sent, whatever `o.area` says; 5 us
        points=list(zip(xy[:, 0].tolist(), xy[:, 1].tolist(), labels.tolist(), visibility.tolist(), strict=True)),
        codec=codec,
        payload=payload,
        shape=payload_shape(codec, o.bbox, size),
    )


def _schema(topic: str) -> str:
    return f"sam-pt-live/{topic}"


def _topic(header: Header) -> bytes:
    """`masks/door` for the schema `sam-pt-live/masks` of the camera `door`."""
    return f"{header.schema.rpartition('/')[2]}/{header.camera}".encode()


# --- in -------------------------------------------------------------------------------------------------------------

Parts = Sequence[bytes | memoryview]
H = TypeVar("H", bound=Header)


def unpack_masks(parts: Parts) -> Received:
    """The masks message in the parts; MessageError says why there is none."""
    header = _read_header(parts, "masks", MasksHeader)
    size, payloads = _checked_size(header), parts[2:]
    if sorted(o.payload for o in header.objects) != list(range(len(payloads))):
        raise MessageError(f"{len(payloads)} payloads came; {len(header.objects)} objects need one each")
    if len({o.id for o in header.objects}) != len(header.objects):
        raise MessageError("two objects have the same id")
    for o in header.objects:
        _check_object(o, size)
    if (pixels := sum(_cost(o) for o in header.objects)) > MAX_DECODED:
        raise MessageError(f"masks that unpack to {pixels} px came; a message has at most {MAX_DECODED}")
    return Received(
        masks=Masks(
            stamp=header.stamp,
            size=size,
            objects=tuple(_object(o, payloads[o.payload], size) for o in header.objects),
            passed_over=header.passed_over,
        ),
        published_ns=header.published_ns,
        publisher=header.publisher,
        sequence=header.sequence,
    )


def unpack_frame(parts: Parts) -> Frame:
    """The frame in the parts, as JPEG left it; MessageError says why there is none."""
    header = _read_header(parts, "frames", FrameHeader)
    if len(parts) != 3:
        raise MessageError(f"{len(parts)} parts came; a frames message has 3")
    return Frame(stamp=header.stamp, rgb=image_codecs.decode_jpeg(parts[2], _checked_size(header)))


def unpack_status(parts: Parts) -> StatusHeader:
    """The status message in the parts; MessageError says why there is none."""
    header = _read_header(parts, "status", StatusHeader)
    if len(parts) != 2:
        raise MessageError(f"{len(parts)} parts came; a status message has 2")
    return header


def _read_header(parts: Parts, topic: str, kind: type[H]) -> H:
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
        if (named.schema, named.version) != (_schema(topic), VERSION):
            raise MessageError(
                f"schema {named.schema[:40]!r} version {named.version} came; "
                f"this reader speaks {_schema(topic)!r} version {VERSION}"
            )
        header = msgspec.json.decode(parts[1], type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"no {topic} header: {str(error)[:200]}") from None
    if parts[0] != _topic(header):
        raise MessageError(f"topic {bytes(parts[0][:80])!r} came with a header for {_topic(header)!r}")
    return header


def _checked_size(header: StampedHeader) -> tuple[int, int]:
    if header.width * header.height > MAX_PIXELS:
        raise MessageError(f"a frame of {header.width}x{header.height} came; at most {MAX_PIXELS} px are read")
    return header.height, header.width


def _check_object(o: ObjectHeader, size: tuple[int, int]) -> None:
    x, y, width, height = o.bbox
    if x + width > size[1] or y + height > size[0]:
        raise MessageError(f"bbox {o.bbox} lies outside the frame of {size[1]}x{size[0]}")
    if o.shape != (wanted := payload_shape(o.codec, o.bbox, size)):
        raise MessageError(f"shape {o.shape} came; {o.codec} of bbox {o.bbox} has {wanted}")


def _cost(o: ObjectHeader) -> int:
    """Pixels that decoding fills: whole columns of the frame for `coco_rle`, the crop for the others."""
    return o.shape[0] * o.bbox[2]


def _object(o: ObjectHeader, payload: bytes | memoryview, size: tuple[int, int]) -> ObjectMask:
    mask = decode_mask(o.codec, payload, o.bbox, size)
    if (area := int(np.count_nonzero(mask))) != o.area:
        raise MessageError(f"object {o.id} has {area} px of mask; its header says {o.area}")
    points = np.array(o.points, np.float32).reshape(-1, 4)
    return ObjectMask(
        object_id=o.id,
        state=o.state,
        origin=o.origin,
        score=o.score,
        bbox=o.bbox,
        area=area,
        mask=mask,
        xy=points[:, :2],
        visibility=points[:, 3],
        labels=points[:, 2].astype(np.uint8),
    )
