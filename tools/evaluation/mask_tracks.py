"""Mask tracks of a video in JSON (YouTube-VIS' form, which UVO shares) in; the tracks and their overlaps out.

truth    {"videos": [{"id", "width", "height", "length"}], "annotations": [{"video_id", "category_id", "iscrowd",
         "segmentations": [RLE or null, one a frame]}]}
results  [{"video_id", "category_id", "score", "segmentations": [...]}]

An RLE is {"size": [H, W], "counts": COCO's string, or the list of runs}.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stream.arrays import Array
from stream.errors import ConfigError, MessageError
from stream.public_wire import coco_rle


class Rle(msgspec.Struct, frozen=True):
    """A mask as COCO's run lengths."""

    size: tuple[int, int]
    counts: str | list[int]

    def flat(self) -> Array:
        """(H * W,) bool, column by column: pixels of two masks compare, whatever their order is."""
        H, W = self.size
        if isinstance(self.counts, str):
            return np.asarray(coco_rle.decode(self.counts.encode(), (0, 0, W, H), self.size).T.ravel() != 0)
        if sum(self.counts) != H * W or min(self.counts, default=0) < 0:
            raise MessageError(f"runs that don't fill a frame of {W}x{H}")
        return np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)


class Track(msgspec.Struct, frozen=True):
    """One object's masks over a video."""

    video_id: int
    segmentations: list[Rle | None]  # one a frame
    category_id: int = 1
    score: float = 1.0
    iscrowd: int = 0  # of the truth: a group that may be found any number of times, or not at all


class Video(msgspec.Struct, frozen=True):
    """One video of the truth."""

    id: int


class Truth(msgspec.Struct, frozen=True):
    """What a truth file holds."""

    videos: list[Video]
    annotations: list[Track]


@dataclass(frozen=True)
class Overlaps:
    """How the D results and the G true tracks of one video overlap."""

    iou: Array  # (D, G): sum over frames of intersections / sum of unions; with a crowd: / sum of the result's areas
    found_areas: Array  # (D,) px, mean over the frames that the track is in
    true_areas: Array  # (G,)


def read_truth(path: Path) -> Truth:
    """The truth in a file; ConfigError where there is none."""
    truth: Truth = _read(path, Truth, '{"videos": [...], "annotations": [...]}')
    return truth


def read_results(path: Path) -> list[Track]:
    """The results in a file; ConfigError where there are none."""
    results: list[Track] = _read(path, list[Track], '[{"video_id", "category_id", "score", "segmentations"}, ...]')
    return results


def overlaps(found: Sequence[Track], true: Sequence[Track]) -> Overlaps:
    """Of the tracks of one video, frame by frame, so that memory holds the masks of one frame only."""
    tracks = [*found, *true]
    lengths = {len(t.segmentations) for t in tracks}
    if len(lengths) > 1:
        raise ConfigError(f"video {tracks[0].video_id}: tracks of {sorted(lengths)} frames; all need one entry a frame")
    n = len(found)
    shared, areas = np.zeros((n, len(true))), np.zeros(len(tracks))
    present = np.array([max(1, sum(s is not None for s in t.segmentations)) for t in tracks])
    for index in range(lengths.pop() if tracks else 0):
        masks = [_flat(t, index) for t in tracks]
        areas += np.array([0 if m is None else np.count_nonzero(m) for m in masks])
        for d, g in np.ndindex(n, len(true)):
            one, other = masks[d], masks[n + g]
            if one is not None and other is not None:
                if one.size != other.size:
                    raise ConfigError(f"video {tracks[0].video_id}: masks of two sizes in frame {index}")
                shared[d, g] += np.count_nonzero(one & other)
    crowd = np.array([t.iscrowd for t in true], bool)
    union = areas[:n, None] + np.where(crowd[None], 0, areas[None, n:] - shared)
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    mean_areas = areas / present
    return Overlaps(iou, mean_areas[:n], mean_areas[n:])


def _flat(track: Track, index: int) -> Array | None:
    rle = track.segmentations[index]
    try:
        return None if rle is None else rle.flat()
    except MessageError as error:
        raise ConfigError(f"video {track.video_id}, frame {index}: {error}") from None


def _read(path: Path, kind: Any, form: str) -> Any:
    try:
        return msgspec.convert(json.loads(path.read_bytes()), kind)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {str(error)[:200]}; needs {form}") from None
