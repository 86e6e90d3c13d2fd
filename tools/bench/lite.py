"""Milliseconds a frame of the lite mask model on one thread, against OpenCV's fastest dense flow on the same frames.

The yardstick is fixed work that the model does, too: on another machine, or a busy one, both change alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from nodes.decoder.combining import exclusive
from nodes.decoder.lite import Lite
from nodes.decoder.model import Query, Verdict
from stream.config import parse_size
from stream.messages import Array, ObjectTrack, Prompt, uncrop_mask
from tools.bench.rows import Row, row
from tools.clips.clip import draw_clip

SEED = 3  # of the clip: its body takes an eighth of the frame
OBJECTS = 5
WARM = 3  # frames


def measure(options: argparse.Namespace) -> list[Row]:
    """A step with one object and with five, and the yardstick; medians over frames, one value a repetition."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _measure(options)
    finally:
        cv2.setNumThreads(threads)


def _measure(options: argparse.Namespace) -> list[Row]:
    frames, masks = clip(parse_size(options.size), options.frames)
    one, five, flow, peak = [], [], [], []
    for _ in range(options.repeat):
        flow.append(median_ms(_flow(frames)))
        steps = timed_steps(frames, masks[:1])
        one.append(median_ms(steps))
        peak.append(float(np.percentile(steps, 95)) * 1e3)
        five.append(median_ms(timed_steps(frames, masks)))
    part = f"{options.size}, one thread"
    return [
        row(part, "flow of a frame (DIS ULTRAFAST), the yardstick", "ms", flow),
        row(part, "a step with one object", "ms", one, at_most=25),
        row(part, "a step with one object, 95th percentile", "ms", peak),
        row(part, "one object against the yardstick", "x", _ratios(one, flow), at_most=5),
        row(part, f"a step with {OBJECTS} objects", "ms", five),
        row(part, f"{OBJECTS} objects against one", "x", _ratios(five, one), at_most=2.5),
    ]


def clip(size: tuple[int, int], frames: int) -> tuple[list[Array], list[Array]]:
    """A drawn clip, played to and fro for its length, and first masks of OBJECTS objects: bodies, then squares."""
    drawn = draw_clip(SEED, size, min(frames, 25))
    there_and_back = drawn.frames + drawn.frames[-2:0:-1]
    pictures = [there_and_back[i % len(there_and_back)] for i in range(frames)]
    labels = drawn.labels[0]
    bodies = [(labels == i).astype(np.uint8) for i in range(1, int(labels.max()) + 1)]
    masks = sorted((b for b in bodies if np.count_nonzero(b) > labels.size // 1000), key=np.count_nonzero, reverse=True)
    side = max(8, int(0.16 * np.sqrt(labels.size)))
    for k in range(OBJECTS):
        square = np.zeros_like(labels)
        y, x = (k % 2) * (size[0] - side), (k * (size[1] - side)) // (OBJECTS - 1)
        square[y : y + side, x : x + side] = 1
        masks.append(square * (labels == 0))
    return pictures, [m for m in masks if m.any()][:OBJECTS]


def timed_steps(frames: Sequence[Array], masks: Sequence[Array]) -> list[float]:
    """Seconds of each step of the model, its learning included, once it is warm."""
    lite, taken = Lite(), []
    none = np.zeros(0, np.float32)
    tracks = [
        ObjectTrack(object_id=i, xy=np.zeros((0, 2), np.float32), visibility=none, labels=none.astype(np.uint8))
        for i in range(1, len(masks) + 1)
    ]
    for t, rgb in enumerate(frames):
        prompts = [Prompt(object_id=i, mask=m) if t == 0 else None for i, m in enumerate(masks, start=1)]
        queries = [Query(track, prompt) for track, prompt in zip(tracks, prompts, strict=True)]
        start = time.perf_counter()
        embedding = lite.encode(rgb)
        answers = lite.decode(embedding, queries)
        size = (rgb.shape[0], rgb.shape[1])
        won = exclusive(size, answers)
        verdicts = {
            q.object_id: Verdict(uncrop_mask(a.window, m, size), True, False)
            for q, a, m in zip(queries, answers, won, strict=True)
        }
        lite.learn(embedding, verdicts)
        taken.append(time.perf_counter() - start)
    return taken[WARM:]


def _flow(frames: Sequence[Array]) -> list[float]:
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    gray = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in frames]

    def once(now: Array, before: Array) -> float:
        start = time.perf_counter()
        dis.calc(now, before, None)
        return time.perf_counter() - start

    return [once(now, before) for before, now in pairwise(gray)][WARM:]


def median_ms(seconds: Sequence[float]) -> float:
    """The median of times, ms."""
    return 1e3 * float(np.median(seconds))


def _ratios(values: Sequence[float], by: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(values, by, strict=True)]
