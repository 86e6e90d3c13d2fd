"""JPEG in, JPEG out: smaller for small screens, or with its masks burnt in. Runs in the one thread that encodes."""

from __future__ import annotations

import cv2
import numpy as np

from nodes.web.scene_message import WebScene
from stream.arrays import Array
from stream.drawing.painter import Painter
from stream.errors import MessageError
from stream.public_wire.image_codecs import decode_jpeg, encode_jpeg
from stream.public_wire.messages import unpack_scene

QUALITY = 80
TRAIL = 12  # frames that a point's trail goes back
MAX_PAINTERS = 64


def rescale(jpeg: bytes, size: tuple[int, int], width: int) -> tuple[bytes, int, int]:
    """(JPEG, width, height) of a picture of `size` (H, W) made `width` px wide; MessageError where it is none."""
    rgb = decode_jpeg(jpeg, size)
    height = max(1, round(size[0] * width / size[1]))
    return encode_jpeg(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), QUALITY), width, height


class BurntPictures:
    """Draws the masks into the pictures of each camera, as the window shows them."""

    def __init__(self) -> None:
        self._painters: dict[str, Painter] = {}

    def burn(self, scene: WebScene) -> bytes:
        """The scene's picture with its masks in it, as JPEG. Made once for a scene."""
        if scene.burnt is None:
            received = unpack_scene(scene.parts)
            rgb = decode_jpeg(received.jpeg, received.picture_size)
            if received.picture_size != received.masks.size:
                rgb = _resized(rgb, received.masks.size)
            if scene.camera not in self._painters and len(self._painters) >= MAX_PAINTERS:
                raise MessageError(f"more than {MAX_PAINTERS} cameras")
            painter = self._painters.setdefault(scene.camera, Painter(TRAIL))
            scene.burnt = encode_jpeg(painter.draw(rgb, received.masks, None), QUALITY)
        return scene.burnt


def _resized(rgb: Array, size: tuple[int, int]) -> Array:
    return np.ascontiguousarray(cv2.resize(rgb, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))
