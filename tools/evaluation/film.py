"""A scored sequence in, its worst and best moments as small pictures out: mask as a tint, truth as a white line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from nodes.capture.folder import read_picture
from stream.arrays import Array
from stream.drawing.ink import colour_of
from stream.geometry import resize_mask
from tools.evaluation.layout import VideoSequence, ids_of
from tools.evaluation.scoring import Score

MOMENTS = 4  # worst, and as many best ones
APART = 12  # moments lie further apart than this share of the sequence: neighbours look the same
WIDTH_PX = 360
TINT = 0.5
JPEG_QUALITY = 72


@dataclass(frozen=True)
class Moment:
    """One frame of a film strip."""

    frame: int
    J: float  # 0..1
    F: float
    jpeg: bytes


def strips(sequence: VideoSequence, score: Score, labels: Callable[[int], Array]) -> tuple[list[Moment], list[Moment]]:
    """(worst, best) moments by J, each in the order of time; none where nothing was scored."""
    frames, j = score.curve("J")
    f = score.curve("F")[1]
    worst = choose(frames, [-v for v in j])
    best = choose([t for t in frames if t not in worst], [v for t, v in zip(frames, j, strict=True) if t not in worst])
    at = {t: i for i, t in enumerate(frames)}

    def moments(chosen: Sequence[int]) -> list[Moment]:
        return [Moment(t, j[at[t]], f[at[t]], picture(sequence, t, labels(t))) for t in chosen]

    return moments(worst), moments(best)


def choose(frames: Sequence[int], values: Sequence[float]) -> list[int]:
    """The frames of the largest values, at most MOMENTS, ascending, never close together."""
    chosen: list[int] = []
    apart = len(frames) / APART
    for i in sorted(range(len(frames)), key=lambda i: -values[i]):
        if len(chosen) < MOMENTS and all(abs(frames[i] - t) > apart for t in chosen):
            chosen.append(frames[i])
    return sorted(chosen)


def picture(sequence: VideoSequence, index: int, labels: Array) -> bytes:
    """A JPEG of one frame; on plain gray where the frames are not at hand."""
    truth, _ = sequence.labels(index)
    height, width = truth.shape
    size = (max(1, round(height * WIDTH_PX / width)), WIDTH_PX)
    if sequence.frames:
        rgb = cv2.resize(read_picture(sequence.frames[index]).rgb, size[::-1], interpolation=cv2.INTER_AREA)
    else:
        rgb = np.full((*size, 3), 90, np.uint8)
    small = resize_mask(labels, size)
    for object_id in ids_of(small):
        here = small == object_id
        rgb[here] = (1 - TINT) * rgb[here] + TINT * np.array(colour_of(object_id))
    for object_id in ids_of(truth):
        # The outline is found before the picture shrinks: thin parts would be gone after it.
        outlines, _ = cv2.findContours((truth == object_id).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        lines = [np.rint(line * (size[1] / width, size[0] / height) * 16).astype(np.int32) for line in outlines]
        cv2.polylines(rgb, lines, True, (0, 0, 0), 2, cv2.LINE_AA, 4)
        cv2.polylines(rgb, lines, True, (255, 255, 255), 1, cv2.LINE_AA, 4)
    ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert ok
    return jpeg.tobytes()
