"""One step of an object that was in sight on the last frame: its memory and the new frame in, a soft mask out.

flow back to the last frame -> the soft mask carried along, and the object's own similarity
-> a window round it at working size -> cues per pixel -> raw logits -> smoothed up to the picture's edges
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nodes.decoder.lite import fusion, poses
from nodes.decoder.lite.cues import Cues, sigmoid
from nodes.decoder.lite.frame_analysis import Picture, axes, clip_window, grow
from nodes.decoder.lite.fusion import Fusion
from nodes.decoder.lite.object_memory import Memory
from nodes.decoder.lite.view import WINDOW_PAD, WORKING_PX, View, box_of, look_at, padded
from nodes.decoder.mask_model import Window
from stream import geometry
from stream.arrays import Array

COARSE_PX = 10_000  # of the pass that finds where the object is
PRESENT_SHARE = 0.4  # chance above which a pixel belongs to the object's box
REGION_PAD, REGION_PAD_PX = 0.35, 40  # round the last box: how far an object may move in a frame
SURE = 0.7
MOTION_POINTS = 300  # pixels that the similarity is fitted to
MOTION_AGREE_PX = 3.0  # px of the flow picture


@dataclass(frozen=True)
class Candidate:
    """What was answered on a frame, until the verdict on it comes."""

    view: View
    logits: Array  # (h, w) float32, working size
    soft: Array  # (h, w) float32
    look: Array | None = None  # (h, w) float32, what colours alone say; None where nobody asked them

    @classmethod
    def of(cls, view: View, cues: Cues, raw: Array) -> Candidate:
        """The candidate that raw logits (h, w) make."""
        logits = fusion.settled(raw, view.rgb)
        return cls(view, logits, sigmoid(logits), fusion.look(cues.planes))

    @property
    def window(self) -> Window:
        """Whole frame px."""
        return self.view.window


def follow(
    memory: Memory,
    picture: Picture,
    weigh: Fusion | None = None,
    working_px: int = WORKING_PX,
    pad: float = WINDOW_PAD,
) -> Candidate | None:
    """The object on this frame, where its memory expects it; None where nothing of its mask is left in the frame.

    The pose in the memory moves along. `weigh` makes logits of cues; the fitted network if not given.
    """
    region = region_of(memory, picture)
    shrink = max(1.0, float(np.sqrt(region[2] * region[3] / COARSE_PX)))
    size = (max(8, round(region[3] / shrink)), max(8, round(region[2] / shrink)))
    flow, (x, y) = picture.flow(region, size), axes(region, size)
    soft = memory.last_soft(x + flow[..., 0], y + flow[..., 1])
    step = _own_motion(soft, x, y, flow, picture.unit)
    memory.move(step)
    box = box_of(soft > PRESENT_SHARE, region)
    if box[2] == 0:
        return None
    view = look_at(picture.rgb, padded(box, picture.size, pad), working_px)
    cues = gather(memory, picture, view, step)
    return Candidate.of(view, cues, (weigh or fusion.fitted("follow"))(cues.planes))


def gather(memory: Memory, picture: Picture, view: View, step: Array) -> Cues:
    """Every cue of a view, with what was in sight on the last frame."""
    cues, flow, (x, y) = Cues(view), picture.flow(view.window, view.size), axes(view.window, view.size)
    u, v = memory.in_view(x + flow[..., 0], y + flow[..., 1])
    soft = cv2.remap(memory.soft, u, v, cv2.INTER_LINEAR)
    cues.carried(soft)
    cues.before(memory.nearby, memory.view.lab, u, v)
    cues.colours(memory.places, memory.whole, *memory.canonical(view))
    cues.motion(picture, flow, soft, step)
    cues.finish()
    return cues


def region_of(memory: Memory, picture: Picture) -> Window:
    """Where the object can be on this frame, from where it was on the last."""
    box = box_of(memory.soft > PRESENT_SHARE, memory.view.window)
    pad = max(round(REGION_PAD_PX * picture.unit), round(REGION_PAD * max(box[2], box[3])))
    return clip_window(grow(box, pad), picture.size)


def _own_motion(carried: Array, x: Array, y: Array, flow: Array, unit: float) -> Array:
    """The similarity from the last frame to this one that fits the flow of the object's sure pixels."""
    sure = np.flatnonzero(carried > SURE)
    sure = sure[:: max(1, len(sure) // MOTION_POINTS)]
    rows, columns = np.divmod(sure, carried.shape[1])
    now = np.stack([x[0, columns], y[rows, 0]], axis=1)
    fitted = poses.fit(now + flow.reshape(-1, 2)[sure], now, MOTION_AGREE_PX * unit)
    return geometry.IDENTITY if fitted is None else fitted
