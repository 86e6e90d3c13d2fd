"""Published masks in, those of recent frames out: what an object covered on a frame that somebody refines it on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from nodes.decoder.mask_model import Window
from stream.arrays import Array
from stream.crops import uncrop_mask
from stream.geometry import Size
from stream.messages import FrameRef, Masks

MAX_FRAMES = 2000  # 30 s at 60 frames/s; frames without a mask cost bytes as well
MAX_BYTES = 16 << 20  # of packed masks: 3 objects of 200x200 px for 30 s, 4 s of three that fill a frame of 1920x1080


@dataclass(frozen=True)
class PastMasks:
    """The masks of one frame, packed."""

    ref: FrameRef
    size: Size
    crops: dict[int, tuple[Window, Array]]  # object_id -> bbox, bits of the crop

    @property
    def nbytes(self) -> int:
        """Of the packed masks."""
        return sum(bits.nbytes for _, bits in self.crops.values())


class MaskHistory:
    """The masks of the newest frames, as many as fit into `max_bytes`, and at most MAX_FRAMES."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._frames: deque[PastMasks] = deque()
        self._nbytes = 0

    def __len__(self) -> int:
        """How many frames are remembered."""
        return len(self._frames)

    def record(self, masks: Masks) -> None:
        """Take in what is published for a frame."""
        crops = {o.object_id: (o.bbox, np.packbits(o.mask)) for o in masks.objects if o.area}
        past = PastMasks(FrameRef.of(masks.stamp), masks.size, crops)
        self._frames.append(past)
        self._nbytes += past.nbytes
        while self._nbytes > self.max_bytes or len(self._frames) > MAX_FRAMES:
            self._nbytes -= self._frames.popleft().nbytes

    def find(self, object_id: int, ref: FrameRef) -> Array | None:
        """(H, W) uint8: an object's mask on a frame; None where it had none, or the frame is gone."""
        past = next((p for p in list(self._frames) if p.ref == ref), None)  # a copy: frames come meanwhile
        if past is None or object_id not in past.crops:
            return None
        bbox, bits = past.crops[object_id]
        _, _, width, height = bbox
        return uncrop_mask(bbox, np.unpackbits(bits, count=width * height).reshape(height, width), past.size)
