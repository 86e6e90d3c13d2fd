"""Drawn frames in, files of clicks' windows with their true masks out: what the network for clicks is fitted to.

Clicks are made of true masks: spread over the object as SAM-PT draws them, one alone, or a few somewhere on it. Single
ones are looked at in windows of several sizes, as they are when one is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.prompts.click_masks import collect_point_cues, fuse_clicks, look_again, stack_second_look
from nodes.decoder.lite.prompts.prompt_cues import fuse_prompt_pixels
from nodes.decoder.lite.window_network import WindowNetwork
from stream.arrays import Array
from tools.clips.clip import draw_clip
from tools.clips.layered_scene import Variety
from tools.evaluation.first_prompts import make_prompt
from tools.fitting.roll_outs import MIN_START_PX, SIZES, startable_objects
from tools.fitting.window_data import WindowRef

FRAMES = 2  # of a clip: the second one shows motion
WITH_MOTION = 0.25  # share of the prompts that come with a frame before
PROMPTS = 3  # of an object and clip
SPREAD, SINGLE = 0.3, 0.45  # share of the prompts that are spread as SAM-PT does it; of one click; the rest: a few
SCALES = (0.7, 1.0, 1.4, 2.0)  # of a single click's window
DEPTHS = (0.3, 0.6, 0.8)  # of the greatest distance from the outline: clicks lie deeper inside than one of these
BESIDE = {1: 0.1, 2: 0.5}  # share of prompts of one click, and of several, that say what is not the object as well


@dataclass(frozen=True)
class Clicks:
    """What was clicked, and how much larger an object is looked for than that suggests."""

    xy: Array  # (N, 2) float32 frame px
    labels: Array  # (N,) uint8
    scale: float = 1.0


def store_clicks(seed: int, variety: Variety, folder: Path, first: Path | None = None) -> list[WindowRef]:
    """The windows of a seed's prompts in files of a folder; of the second look, given a network of the first one."""
    refs = []
    for n, planes in enumerate(draw_windows(seed, variety, first)):
        name = f"{seed}-{n}.npy" if first is None else f"{seed}-{n}-again.npy"
        refs.append(WindowRef(folder / name, (planes.shape[1], planes.shape[2])))
        np.save(refs[-1].file, planes)
    return refs


def draw_windows(seed: int, variety: Variety, first: Path | None) -> Iterator[Array]:
    """(C + 1, h, w) float16, a network's inputs and the true share, of each prompt on a drawn clip."""
    network = None if first is None else WindowNetwork(first)
    clip = draw_clip(seed, SIZES.get(seed % 16, (480, 854)), FRAMES, variety)
    rng = np.random.default_rng([seed, 2])
    for label in startable_objects(clip):
        for _ in range(PROMPTS):
            now = int(rng.integers(FRAMES))
            rgb, truth = clip.frames[now], (clip.labels[now] == label).astype(np.uint8)
            with_motion = rng.random() < WITH_MOTION
            if np.count_nonzero(truth) < MIN_START_PX:
                continue
            analysis = FrameAnalysis(rgb, FrameAnalysis(clip.frames[1 - now], None).gray) if with_motion else None
            clicks = draw_clicks(truth, rgb, rng)
            clicked = collect_point_cues(rgb, clicks.xy, clicks.labels, None, analysis, clicks.scale)
            share = clicked.crop.shrink(truth.astype(np.float32))
            if network is None:
                planes, logits = clicked.cues.planes, fuse_prompt_pixels(clicked.cues, "points")
            else:
                logits = fuse_clicks(clicked.cues, network)
                planes = stack_second_look(look_again(clicked, clicked.smooth(logits), analysis))
            yield np.concatenate([planes, logits[None], share[None]]).astype(np.float16)


def draw_clicks(truth: Array, rgb: Array, rng: np.random.Generator) -> Clicks:
    """Clicks on an object whose true mask, (H, W) uint8 0/1, is not empty."""
    kind = rng.random()
    if kind < SPREAD:
        return spread_clicks(int(rng.integers(1, 9)), truth, rgb)
    single = kind < SPREAD + SINGLE
    inside = click_inside(truth, 1 if single else int(rng.integers(2, 6)), float(rng.choice(DEPTHS)), rng)
    count = int(rng.integers(1, 3)) if rng.random() < BESIDE[1 if single else 2] else 0
    outside = pick_pixels(beside(truth), count, rng)
    labels = np.repeat(np.array([1, 0], np.uint8), [len(inside), len(outside)])
    return Clicks(np.concatenate([inside, outside]), labels, float(rng.choice(SCALES)) if single else 1.0)


def spread_clicks(number: int, truth: Array, rgb: Array) -> Clicks:
    """Eight clicks spread over an object and one beside it, drawn as for the object of that number."""
    spread = make_prompt("points", number, truth, rgb)
    assert spread.xy is not None, "clicks have positions"
    assert spread.labels is not None, "clicks have labels"
    return Clicks(spread.xy, spread.labels)


def beside(truth: Array) -> Array:
    """(H, W) bool: the surroundings of a mask, 20 px to each side."""
    return np.asarray((truth == 0) & (cv2.blur(truth * 255, (41, 41)) > 0))


def click_inside(truth: Array, count: int, depth: float, rng: np.random.Generator) -> Array:
    """(count, 2) float32 positions in a mask (H, W) uint8 0/1, deeper inside than a share of its greatest depth."""
    distance = cv2.distanceTransform(truth, cv2.DIST_L2, 3)
    return pick_pixels(distance > depth * distance.max(), count, rng)


def pick_pixels(allowed: Array, count: int, rng: np.random.Generator) -> Array:
    """(N, 2) float32: so many pixels of those allowed (H, W), with repetitions; none where there are none."""
    rows, columns = np.nonzero(allowed)
    at = rng.integers(0, len(rows), count if len(rows) else 0)
    return np.stack([columns[at], rows[at]], axis=1).astype(np.float32)
