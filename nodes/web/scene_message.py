"""A message of `scenes/<camera>` in, what pages are sent out: one block of bytes, and smaller pictures on demand.

The header goes on as it came; only `payload_bytes` is added, and for a smaller picture its size is changed. Whatever
is made of a scene is made once, however many look.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stream.errors import MessageError
from stream.transport.wire import MAX_HEADER_BYTES, MAX_PARTS

SCHEMA, VERSION = "sam-pt-live/scenes", 1
MAX_SCENE_BYTES = 64 << 20
WIDTHS = (160, 320, 480, 640, 960, 1280, 1920, 2560)  # px that a smaller picture may have: few, so that pages share
CAMERA = r"^[A-Za-z0-9._-]{1,64}\Z"

Rescale = Callable[[bytes, tuple[int, int], int], tuple[bytes, int, int]]  # JPEG, (H, W), width -> JPEG, its W, H

Side = Annotated[int, Meta(ge=1, le=65535)]


class Picture(msgspec.Struct, frozen=True):
    """Where the picture is among the payloads."""

    payload: Annotated[int, Meta(ge=0, le=MAX_PARTS)]
    codec: str
    width: Side
    height: Side


class SceneHeader(msgspec.Struct, frozen=True):
    """What the server itself needs to know of the header."""

    schema: str
    version: int
    camera: Annotated[str, Meta(pattern=CAMERA)]
    session: int
    frame_id: int
    captured_unix_ns: int
    picture: Picture


class WebScene:
    """One scene, on its way to pages."""

    def __init__(self, parts: Sequence[bytes]) -> None:
        """MessageError where the parts are no scene."""
        self.header = _read_header(parts)
        self.parts = list(parts)  # topic, header, payloads; the picture is the last
        self.burnt: bytes | None = None  # JPEG with the masks in it, once `nodes/web/pictures.py` has made it
        self._packed: dict[int, bytes] = {}  # by picture width

    @property
    def camera(self) -> str:
        """The camera's name."""
        return self.header.camera

    @property
    def jpeg(self) -> bytes:
        """The picture as it came."""
        return self.parts[-1]

    def width_for(self, max_width: int | None) -> int:
        """The width that a page gets which can use `max_width` px: that of the picture, or one of WIDTHS."""
        own = self.header.picture.width
        if max_width is None or max_width >= own:
            return own
        return max((w for w in WIDTHS if w <= max_width), default=WIDTHS[0]) if own > WIDTHS[0] else own

    def has(self, width: int) -> bool:
        """Whether `packed(width)` costs nothing."""
        return width in self._packed or width == self.header.picture.width

    def packed(self, width: int, rescale: Rescale) -> bytes:
        """The message with a picture of `width` px: `uint32 n`, n bytes of header, all payloads. Made once."""
        found = self._packed.get(width)
        if found is None:
            header, jpeg = self.parts[1], self.jpeg
            if width != self.header.picture.width:
                picture = self.header.picture
                jpeg, w, h = rescale(jpeg, (picture.height, picture.width), width)
                tree: dict[str, Any] = msgspec.json.decode(header)
                tree["picture"] |= {"width": w, "height": h}
                header = msgspec.json.encode(tree)
            found = self._packed[width] = pack(header, [*self.parts[2:-1], jpeg])
        return found


def pack(header: bytes, payloads: Sequence[bytes]) -> bytes:
    """A message for a page, of a header's JSON and the payloads that it names."""
    sizes = ",".join(str(len(p)) for p in payloads)
    whole = header.rstrip()[:-1] + f',"payload_bytes":[{sizes}]}}'.encode()
    return b"".join([struct.pack("<I", len(whole)), whole, *payloads])


def _read_header(parts: Sequence[bytes]) -> SceneHeader:
    if not 3 <= len(parts) <= MAX_PARTS:
        raise MessageError(f"{len(parts)} parts came; a scenes message has 3 to {MAX_PARTS}")
    if len(parts[1]) > MAX_HEADER_BYTES or sum(map(len, parts)) > MAX_SCENE_BYTES:
        raise MessageError(f"a scenes message of {sum(map(len, parts))} bytes came; it has at most {MAX_SCENE_BYTES}")
    try:
        header = msgspec.json.decode(parts[1], type=SceneHeader)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"no scenes header: {str(error)[:200]}") from None
    if (header.schema, header.version) != (SCHEMA, VERSION):
        raise MessageError(f"schema {header.schema[:40]!r} version {header.version} came; needs {SCHEMA} {VERSION}")
    if parts[0] != f"scenes/{header.camera}".encode():
        raise MessageError(f"topic {bytes(parts[0][:80])!r} came with a header of the camera {header.camera!r}")
    if header.picture.payload != len(parts) - 3 or header.picture.codec != "jpeg":
        raise MessageError("the picture of a scene is its last payload, a JPEG")
    return header
