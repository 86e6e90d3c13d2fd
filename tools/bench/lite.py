"""Milliseconds a frame of the lite decoder on one thread, against OpenCV's fastest dense flow on the same frames.

The yardstick is fixed work that the model does, too: on another machine, or a busy one, both change alike. The objects
never leave the picture (`crowd.py`), and those that are still followed at the end are counted: one that is lost costs
next to nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from nodes.decoder.lite.backend import Lite
from nodes.decoder.lite.object_threads import LIMIT
from nodes.decoder.segmentation import Segmenter
from stream.arrays import Array
from stream.crops import uncrop_mask
from stream.messages import Frame, Masks, ObjectTrack, Prompt, Stamp, Tracks
from stream.settings.config import parse_size
from tools.bench.crowd import Crowd, draw_crowd
from tools.bench.rows import Row, row

COUNTS = (1, 5, 20)  # objects
AT_MOST = {5: 2.5}  # times what one takes
WARM = 3  # frames
FOLLOWED_IOU = 0.5  # with the truth, of an object whose state is `tracked`


@dataclass(frozen=True)
class Run:
    """One pass over the clip."""

    seconds: list[float]  # of each step once it is warm
    followed: int  # objects at the end

    @property
    def median_ms(self) -> float:
        """The median of the steps."""
        return _median_ms(self.seconds)


def measure(options: argparse.Namespace) -> list[Row]:
    """A step with one object, with five and with twenty, and the yardstick; medians, one value a repetition."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    os.environ[LIMIT] = "1"
    try:
        return _measure(options)
    finally:
        cv2.setNumThreads(threads)
        del os.environ[LIMIT]


def _measure(options: argparse.Namespace) -> list[Row]:
    crowd = draw_crowd(parse_size(options.size), options.frames)
    flow: list[float] = []
    runs: dict[int, list[Run]] = {count: [] for count in COUNTS}
    for _ in range(options.repeat):
        flow.append(_median_ms(_flow(crowd.frames)))
        for count in COUNTS:
            runs[count].append(run_decoder(crowd, count))
    one = [run.median_ms for run in runs[1]]
    peak = [1e3 * float(np.percentile(run.seconds, 95)) for run in runs[1]]
    part = f"{options.size}, one thread"
    rows = [
        row(part, "flow of a frame (DIS ULTRAFAST), the yardstick", "ms", flow),
        row(part, "a step with 1 object", "ms", one, at_most=25),
        row(part, "a step with 1 object, 95th percentile", "ms", peak),
        row(part, "1 object against the yardstick", "x", _ratios(one, flow), at_most=4),
    ]
    for count in COUNTS[1:]:
        many = [run.median_ms for run in runs[count]]
        rows.append(row(part, f"a step with {count} objects", "ms", many))
        rows.append(row(part, f"{count} objects against 1", "x", _ratios(many, one), at_most=AT_MOST.get(count)))
    for count in COUNTS:
        numbers = [run.followed for run in runs[count]]
        rows.append(row(part, f"followed at the end, of {count}", "objects", numbers, at_least=count))
    return rows


def run_decoder(crowd: Crowd, count: int) -> Run:
    """Every step of the decoder's core with the first `count` bodies, learning included."""
    segmenter, seconds = Segmenter(Lite()), []
    for message in decoder_inputs(crowd, count):
        start = time.perf_counter()
        masks, _ = segmenter.step(message)
        seconds.append(time.perf_counter() - start)
    assert masks is not None, "lite has an answer for every frame"
    return Run(seconds[WARM:], count_followed(masks, crowd.labels[-1]))


def decoder_inputs(crowd: Crowd, count: int) -> Iterator[Tracks]:
    """The decoder's messages, one a frame: the first `count` bodies, each prompted with its true mask at first."""
    none = np.zeros(0, np.float32)
    tracks = tuple(
        ObjectTrack(object_id=i, xy=np.zeros((0, 2), np.float32), visibility=none, labels=none.astype(np.uint8))
        for i in range(1, count + 1)
    )
    prompts = tuple(Prompt(object_id=i, mask=mask) for i, mask in enumerate(crowd.masks(count), start=1))
    for t, rgb in enumerate(crowd.frames):
        stamp = Stamp(camera="benchmark", session=0, frame_id=t, captured_ns=t, captured_unix_ns=t)
        yield Tracks(frame=Frame(stamp=stamp, rgb=rgb), objects=tracks, prompts=() if t else prompts)


def count_followed(masks: Masks, truth: Array) -> int:
    """How many objects are `tracked`, and where the (H, W) label image of the truth has them."""
    count = 0
    for o in masks.objects:
        mask, true = uncrop_mask(o.bbox, o.mask, masks.size) > 0, truth == o.object_id
        union = np.count_nonzero(mask | true)
        if o.state == "tracked" and np.count_nonzero(mask & true) >= FOLLOWED_IOU * union > 0:
            count += 1
    return count


def _flow(frames: Sequence[Array]) -> list[float]:
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    gray = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in frames]

    def once(now: Array, before: Array) -> float:
        start = time.perf_counter()
        dis.calc(now, before, None)
        return time.perf_counter() - start

    return [once(now, before) for before, now in pairwise(gray)][WARM:]


def _median_ms(seconds: Sequence[float]) -> float:
    """The median of times, ms."""
    return 1e3 * float(np.median(seconds))


def _ratios(values: Sequence[float], by: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(values, by, strict=True)]
