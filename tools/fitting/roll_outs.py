"""Drawn clips in, the live cores' own cues with their true masks out: what the networks of `lite` are fitted to.

An object is followed by the model's own cores for some frames, then given its true mask again: so what is fitted to
holds the model's own mistakes, and each of them has a label.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from nodes.decoder.lite.cues import Cues
from nodes.decoder.lite.following import follow, reachable_window
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.fusion import CueFusion
from nodes.decoder.lite.object_memory import ObjectMemory
from nodes.decoder.lite.view import make_view, pad_window, shrink_mask
from stream.arrays import Array
from tools.clips.clip import Clip, draw_clip

FRAMES = 20  # of a clip
SIZES = {3: (360, 640), 11: (854, 480)}  # of every 16th clip; all others are 854x480
MAX_OBJECTS = 2  # of a clip
MIN_START_PX = 120  # an object that shows less is not given
FIRST_UNSEEN_SEED = 100_000  # seeds from here on are not fitted to


def draw_training_clip(seed: int) -> Clip:
    """One clip to fit to."""
    return draw_clip(seed, SIZES.get(seed % 16, (480, 854)), FRAMES)


def startable_objects(clip: Clip) -> list[int]:
    """Labels of the objects that show enough on the first frame to begin with."""
    return [k for k in range(1, MAX_OBJECTS + 1) if np.count_nonzero(clip.labels[0] == k) >= MIN_START_PX]


def roll_out(
    clip: Clip, label: int, fuse: CueFusion, restart_frames: tuple[int, int], rng: np.random.Generator
) -> Iterator[tuple[int, Cues, Array]]:
    """Frame number, cues and true share (h, w) float32 of each frame that one object is followed on.

    `restart_frames`: least and most (excluded) frames between two true masks.
    """
    memory, previous_gray, frames_left = None, None, 0
    seen: list[Cues] = []  # the cues of this frame, where the object was followed

    def fuse_and_store(cues: Cues) -> Array:
        seen.append(cues)
        return fuse(cues)

    for t, (rgb, labels) in enumerate(zip(clip.frames, clip.labels, strict=True)):
        analysis = FrameAnalysis(rgb, previous_gray)
        previous_gray, truth = analysis.gray, (labels == label).astype(np.uint8)
        if memory is not None and frames_left > 0:
            frames_left -= 1
            step(memory, analysis, fuse_and_store)
            if seen:
                yield t, seen.pop(), shrink_mask(truth, memory.view)
            else:
                frames_left = 0
        if frames_left == 0 and np.count_nonzero(truth) >= MIN_START_PX:
            frames_left = int(rng.integers(*restart_frames))
            if memory is None or rng.random() < 0.5:
                memory = ObjectMemory.from_mask(rgb, truth)
            else:  # keep the colours: those of the first frame grow old in real clips, too
                view = make_view(rgb, pad_window(cv2.boundingRect(truth), analysis.size))
                memory.store_mask(view, shrink_mask(truth, view))


def step(memory: ObjectMemory, analysis: FrameAnalysis, fuse: CueFusion) -> Array:
    """Follow one frame, and adapt to it; (H, W) uint8, the mask."""
    analysis.limit_flow_to([reachable_window(memory, analysis)])
    analysis.measure_background([memory.sample_mask])
    estimate = follow(memory, analysis, fuse)
    mask = np.zeros(analysis.size, np.uint8)
    if estimate is not None:
        memory.store_mask(estimate.view, estimate.soft_mask)
        memory.adapt()
        x, y, width, height = estimate.window
        mask[y : y + height, x : x + width] = cv2.resize(estimate.logits, (width, height)) > 0
    return mask


def follow_unseen_clip(index: int, fuse: CueFusion) -> float:
    """Mean IoU of the first object of an unseen clip, given on its first frame and followed to its end."""
    clip = draw_training_clip(FIRST_UNSEEN_SEED + index)
    labels = startable_objects(clip)
    return float(np.mean(follow_to_end(clip, labels[0], fuse))) if labels else float("nan")


def follow_to_end(clip: Clip, label: int, fuse: CueFusion) -> list[float]:
    """IoU on each frame after the first, on which the object's true mask was given."""
    truths = [(labels == label).astype(np.uint8) for labels in clip.labels]
    memory, analysis = ObjectMemory.from_mask(clip.frames[0], truths[0]), FrameAnalysis(clip.frames[0], None)
    scores = []
    for rgb, truth in zip(clip.frames[1:], truths[1:], strict=True):
        analysis = FrameAnalysis(rgb, analysis.gray)
        mask = step(memory, analysis, fuse)
        union = np.count_nonzero(mask | truth)
        scores.append(np.count_nonzero(mask & truth) / union if union else 1.0)
    return scores
