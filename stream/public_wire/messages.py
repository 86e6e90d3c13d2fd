"""What the PUB socket carries: messages in, `[topic, header, payload...]` out, and back for consumers in Python.

docs/protocol.md is the reference; the headers are in `headers.py`. What does not fit is a `MessageError`, raised before
anything large is allocated.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from stream.arrays import Array
from stream.errors import MessageError
from stream.geometry import MAX_PIXELS
from stream.messages import Frame, Masks, ObjectMask, Scene, Stamp
from stream.public_wire import image_codecs
from stream.public_wire.codecs import Codec, decode_mask, encode_mask, payload_shape
from stream.public_wire.headers import (
    FARTHEST,
    VERSION,
    FrameHeader,
    MasksHeader,
    ObjectHeader,
    Parts,
    Picture,
    SceneHeader,
    StatusHeader,
    checked_size,
    read_header,
    schema_of,
    topic_of,
)
from stream.transport.wire import to_json

MAX_DECODED = 4 * MAX_PIXELS  # px that the payloads of one message may unpack to, all together


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A masks message as a consumer gets it."""

    masks: Masks
    published_ns: int  # monotonic clock of the publishing host
    publisher: str  # changes when the publisher restarts
    sequence: int  # +1 with each message of its kind of that publisher: a gap is what this consumer lost

    def label_image(self) -> Array:
        """(H, W), each pixel the id of the object there, 0 background; uint8, or uint16 once an id is above 255."""
        return self.masks.label_image()


class ReceivedScene(Received, frozen=True, kw_only=True):
    """A scenes message as a consumer gets it: masks, and the very picture that they belong to."""

    jpeg: bytes
    picture_size: tuple[int, int]  # (height, width) of the JPEG, px; positions are in px of the frame, `masks.size`

    def picture(self) -> Array:
        """(height, width, 3) uint8 RGB; MessageError where it can't be decoded."""
        return image_codecs.decode_jpeg(self.jpeg, self.picture_size)


# --- out ------------------------------------------------------------------------------------------------------------


def pack_masks(masks: Masks, codec: Codec, published_ns: int, sequence: int, publisher: str) -> list[bytes]:
    """The parts of a `masks/<camera>` message; `publisher` is a random name that lives as long as `sequence` counts."""
    header = MasksHeader(
        **_stamped("masks", masks.stamp, masks.size),
        **_described(masks, codec),
        published_ns=published_ns,
        publisher=publisher,
        sequence=sequence,
    )
    return [topic_of(header), to_json(header), *_payloads(masks, codec)]


def pack_scene(
    scene: Scene, codec: Codec, quality: int, published_ns: int, sequence: int, publisher: str
) -> list[bytes]:
    """The parts of a `scenes/<camera>` message: as those of its masks, and the picture as JPEG, last.

    MessageError where JPEG can't hold the picture.
    """
    height, width = scene.masks.size
    header = SceneHeader(
        **_stamped("scenes", scene.masks.stamp, scene.masks.size),
        **_described(scene.masks, codec),
        published_ns=published_ns,
        publisher=publisher,
        sequence=sequence,
        picture=Picture(payload=len(scene.masks.objects), codec="jpeg", width=width, height=height),
    )
    jpeg = image_codecs.encode_jpeg(scene.frame.rgb, quality)
    return [topic_of(header), to_json(header), *_payloads(scene.masks, codec), jpeg]


def pack_frame(stamp: Stamp, rgb: Array, quality: int) -> list[bytes]:
    """The parts of a `frames/<camera>` message: `rgb` (H, W, 3) uint8 as JPEG of a `quality` of 1 to 100."""
    header = FrameHeader(**_stamped("frames", stamp, (rgb.shape[0], rgb.shape[1])))
    return [topic_of(header), to_json(header), image_codecs.encode_jpeg(rgb, quality)]


def pack_status(camera: str, status: dict[str, Any]) -> list[bytes]:
    """The parts of a `status/<camera>` message; `status` holds plain values."""
    header = StatusHeader(schema=schema_of("status"), version=VERSION, camera=camera, status=status)
    return [topic_of(header), to_json(header)]


def _stamped(topic: str, stamp: Stamp, size: tuple[int, int]) -> dict[str, Any]:
    header = {"schema": schema_of(topic), "version": VERSION, "width": size[1], "height": size[0]}
    return header | msgspec.structs.asdict(stamp)


def _described(masks: Masks, codec: Codec) -> dict[str, Any]:
    objects = [_describe(o, codec, index, masks.size) for index, o in enumerate(masks.objects)]
    return {"passed_over": masks.passed_over, "objects": objects}


def _payloads(masks: Masks, codec: Codec) -> list[bytes]:
    return [encode_mask(codec, o.mask, o.bbox, masks.size) for o in masks.objects]


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
        label=o.label,
        reason=o.reason,
        points_final=msgspec.UNSET if o.points_final else False,
    )


# --- in -------------------------------------------------------------------------------------------------------------


def unpack_masks(parts: Parts) -> Received:
    """The masks message in the parts; MessageError says why there is none."""
    header = read_header(parts, "masks", MasksHeader)
    return Received(masks=_masks(header, parts[2:]), **_sender(header))


def unpack_scene(parts: Parts) -> ReceivedScene:
    """The scenes message in the parts; MessageError says why there is none."""
    header = read_header(parts, "scenes", SceneHeader)
    *payloads, jpeg = parts[2:] or [b""]
    if header.picture.payload != len(payloads):
        raise MessageError(f"the picture is said to be payload {header.picture.payload}; needs the last")
    size = header.picture.height, header.picture.width
    image_codecs.check_jpeg(jpeg, size)
    return ReceivedScene(masks=_masks(header, payloads), jpeg=bytes(jpeg), picture_size=size, **_sender(header))


def _sender(header: MasksHeader) -> dict[str, Any]:
    return {name: getattr(header, name) for name in ("published_ns", "publisher", "sequence")}


def _masks(header: MasksHeader, payloads: Parts) -> Masks:
    """The masks of a header and its payloads, all of them checked before the first is unpacked."""
    size = checked_size(header)
    if sorted(o.payload for o in header.objects) != list(range(len(payloads))):
        raise MessageError(f"{len(payloads)} payloads came; {len(header.objects)} objects need one each")
    if len({o.id for o in header.objects}) != len(header.objects):
        raise MessageError("two objects have the same id")
    for o in header.objects:
        _check_object(o, size)
    if (pixels := sum(_cost(o) for o in header.objects)) > MAX_DECODED:
        raise MessageError(f"masks that unpack to {pixels} px came; a message has at most {MAX_DECODED}")
    objects = tuple(_object(o, payloads[o.payload], size) for o in header.objects)
    return Masks(stamp=header.stamp, size=size, objects=objects, passed_over=header.passed_over)


def unpack_frame(parts: Parts) -> Frame:
    """The frame in the parts, as JPEG left it; MessageError says why there is none."""
    header = read_header(parts, "frames", FrameHeader)
    if len(parts) != 3:
        raise MessageError(f"{len(parts)} parts came; a frames message has 3")
    return Frame(stamp=header.stamp, rgb=image_codecs.decode_jpeg(parts[2], checked_size(header)))


def unpack_status(parts: Parts) -> StatusHeader:
    """The status message in the parts; MessageError says why there is none."""
    header = read_header(parts, "status", StatusHeader)
    if len(parts) != 2:
        raise MessageError(f"{len(parts)} parts came; a status message has 2")
    return header


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
        label=o.label,
        reason=o.reason,
        points_final=o.points_final is not False,
    )
