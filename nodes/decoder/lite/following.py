"""One step of an object that was in sight on the last frame: its memory and the new frame in, a soft mask out.

flow back to the last frame -> the soft mask carried along, and the object's own similarity
-> a window around it at working size -> cues per pixel -> raw logits -> smoothed up to the image's edges
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nodes.decoder.lite import fusion, window_network
from nodes.decoder.lite.cues import Cues, sigmoid
from nodes.decoder.lite.frame_analysis import (
    FrameAnalysis,
    clip_window,
    grow_window,
    join_windows,
    move_window,
    pixel_axes,
)
from nodes.decoder.lite.fusion import CueFusion
from nodes.decoder.lite.object_memory import PRESENT_PROBABILITY, ObjectMemory
from nodes.decoder.lite.poses import Expectation
from nodes.decoder.lite.view import WINDOW_PAD, WORKING_PX, View, bounding_window, make_view, pad_window
from nodes.decoder.mask_model import Verdict, Window
from stream import geometry
from stream.arrays import Array
from stream.similarity import fit_similarity, frame_to_frame

COARSE_PX = 10_000  # of the pass that finds where the object is
REACH_SHARE, REACH_PX = 0.35, 40  # around the last box: how far an object may move in a frame
SURE_PROBABILITY = 0.7  # above it, a pixel's flow is the object's
TAKEN, AROUND_PX = 0.75, 5  # share of what an object claims of a place that others have: then it is theirs; working px
ALL_IN_SIGHT, PART_IN_SIGHT = 0.95, 0.75  # of what should be in the frame: from all to a part that is surely missing
MOSTLY_IN_SIGHT = 0.6  # with less, the window shows all the place where the object should be
MOTION_POINTS = 300  # pixels that a similarity is fitted to
MOTION_AGREE_PX = 3.0  # px of the flow image: a pixel that the similarity misses by more is an outlier


@dataclass(frozen=True)
class MaskEstimate:
    """One object's mask on a frame as the model sees it, before the segmenter's verdict on it."""

    view: View
    logits: Array  # (h, w) float32, working size
    soft_mask: Array  # (h, w) float32
    colour_logits: Array | None = None  # (h, w) float32, what colours alone say; None where no cues were made
    claim: Array | None = None  # (height, width) bool in the window: its mask if it were alone; once answered

    @classmethod
    def from_cues(cls, view: View, cues: Cues, raw: Array) -> MaskEstimate:
        """The estimate that raw logits (h, w) make."""
        logits = fusion.smooth_logits(raw, view.rgb)
        return cls(view, logits, sigmoid(logits), fusion.fuse_colours(cues.planes))

    @property
    def window(self) -> Window:
        """Whole frame px."""
        return self.view.window


def follow(
    memory: ObjectMemory,
    analysis: FrameAnalysis,
    fuse: CueFusion | None = None,
    working_px: int = WORKING_PX,
    pad: float = WINDOW_PAD,
) -> MaskEstimate | None:
    """The object on this frame, where its memory expects it; None where nothing of its mask is left in the frame.

    The pose in the memory moves along. `fuse` makes logits of cues; if not given, the fitted networks, and what the
    target model says is added.
    """
    memory.begin_turn()
    region = reachable_window(memory, analysis)
    shrink = max(1.0, float(np.sqrt(region[2] * region[3] / COARSE_PX)))
    size = (max(8, round(region[3] / shrink)), max(8, round(region[2] / shrink)))
    flow, (x, y) = analysis.sample_flow(region, size), pixel_axes(region, size)
    carried = memory.sample_mask(x + flow[..., 0], y + flow[..., 1])
    step = _fit_object_motion(carried, x, y, flow, analysis.flow_px)
    memory.move_by(step)
    box = bounding_window(carried > PRESENT_PROBABILITY, region)
    if box[2] == 0:
        return None
    expected = memory.expect(analysis.size)
    if expected.in_sight < MOSTLY_IN_SIGHT:
        box = join_windows(box, expected.window)
    view = make_view(analysis.rgb, pad_window(box, analysis.size, pad), working_px)
    cues = collect_cues(memory, analysis, view, step)
    if fuse:
        raw = fuse(cues)
    else:
        raw = window_network.fuse_window(cues) + memory.target_model(view, _measure_missing(expected))
    return MaskEstimate.from_cues(view, cues, raw)


def _measure_missing(expected: Expectation) -> float:
    """How sure it is that a part of an object is missing: 0..1.

    0 where most of it has left the frame: what looks like it at the edge is then as likely another thing.
    """
    missing = (ALL_IN_SIGHT - expected.in_sight) / (ALL_IN_SIGHT - PART_IN_SIGHT)
    return float(np.clip(missing, 0, 1) * max(0, 2 * expected.in_frame - 1))


def collect_cues(memory: ObjectMemory, analysis: FrameAnalysis, view: View, step: Array) -> Cues:
    """Every cue of a view, of an object that was in sight on the last frame and has moved by `step` (2, 3)."""
    cues, flow = Cues(view), analysis.sample_flow(view.window, view.size)
    x, y = pixel_axes(view.window, view.size)
    u, v = memory.frame_to_view_xy(x + flow[..., 0], y + flow[..., 1])
    soft_mask = cv2.remap(memory.soft_mask, u, v, cv2.INTER_LINEAR)
    cues.add_carried_mask(soft_mask)
    cues.add_last_frame(memory.last_frame_colours, memory.view.lab, u, v)
    cues.add_object_colours(memory.cell_colours, memory.overall_colours, *memory.canonical_xy(view))
    cues.add_motion(analysis, flow, soft_mask, step)
    cues.finish()
    return cues


def reachable_window(memory: ObjectMemory, analysis: FrameAnalysis) -> Window:
    """Where the object can be on this frame, from where it was on the last."""
    box, _ = memory.extent
    if memory.moved is not None:
        box = move_window(box, memory.moved)
    pad = max(round(REACH_PX * analysis.flow_px), round(REACH_SHARE * max(box[2], box[3])))
    return clip_window(grow_window(box, pad), analysis.size)


def learn_published(memory: ObjectMemory, estimate: MaskEstimate, verdict: Verdict, frames: int) -> None:
    """Store a published mask in an object's memory; its colours adapt for `frames` frames where it is trusted."""
    assert estimate.claim is not None, "an estimate that was not answered is not published"
    x, y, width, height = estimate.window
    taken, soft_mask = estimate.claim > verdict.mask[y : y + height, x : x + width], estimate.soft_mask
    if taken.any():
        # where another object's mask won, this object is not, however high its probability was
        overruled = (soft_mask > 0.5) & _mostly_taken(estimate.claim, taken, estimate.view)
        soft_mask = np.where(overruled, np.float32(0.1), soft_mask)
    memory.store_mask(estimate.view, soft_mask)
    if verdict.trusted:
        memory.adapt(frames)


def _mostly_taken(claim: Array, taken: Array, view: View) -> Array:
    """(h, w) bool: working px of a view in which others took most of what an object claims; both (height, width)."""
    size, around = view.size[::-1], (AROUND_PX, AROUND_PX)
    all_of_it, lost = (
        cv2.resize(255 * mask.view(np.uint8), size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for mask in (claim, taken)
    )
    nearby = cv2.blur(lost, around) > TAKEN * cv2.blur(all_of_it, around)
    # where nothing was claimed, since the picture's detail was against it, what is around counts
    return np.asarray(np.where(all_of_it > 0, lost > TAKEN * all_of_it, nearby))


def _fit_object_motion(carried: Array, x: Array, y: Array, flow: Array, flow_px: float) -> Array:
    """The similarity from the last frame to this one that fits the flow of the object's sure pixels."""
    sure = np.flatnonzero(carried > SURE_PROBABILITY)
    sure = sure[:: max(1, len(sure) // MOTION_POINTS)]
    rows, columns = np.divmod(sure, carried.shape[1])
    current = np.stack([x[0, columns], y[rows, 0]], axis=1)
    previous = current + flow.reshape(-1, 2)[sure]
    fitted = fit_similarity(previous, current, frame_to_frame(MOTION_AGREE_PX * flow_px))
    return geometry.IDENTITY if fitted is None else fitted
