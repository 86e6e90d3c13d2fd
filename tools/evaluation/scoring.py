"""Label images of a sequence in, J and F of each object and frame out; and the tables that are made of them.

The protocol is DAVIS' semi-supervised one: the frame an object begins on and the sequence's last frame don't count; a
sequence's figure is the mean over its objects, the figure in all the mean over all objects of all sequences.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stream.arrays import Array
from stream.errors import ConfigError
from tools.evaluation.layout import VideoSequence, ids_of, read_label_file
from tools.evaluation.measures import score_masks, statistics
from tools.evaluation.pool import Tick

COLUMNS = ("J", "F", "J&F", "J_recall", "J_decay", "F_recall", "F_decay")
Row = dict[str, float | None]


@dataclass
class ObjectScore:
    """J and F of one object, frame by frame."""

    frames: list[int] = field(default_factory=list)
    J: list[float] = field(default_factory=list)
    F: list[float] = field(default_factory=list)
    in_sight: list[bool] = field(default_factory=list)  # whether the truth shows the object

    def row(self) -> dict[str, float]:
        """The table's columns, 0..100."""
        j, f = statistics(np.array(self.J)), statistics(np.array(self.F))
        values = (j.mean, f.mean, (j.mean + f.mean) / 2, j.recall, j.decay, f.recall, f.decay)
        return {name: 100 * value for name, value in zip(COLUMNS, values, strict=True)}


class Score:
    """The score of one sequence, frame by frame as its masks come."""

    def __init__(self, sequence: VideoSequence) -> None:
        self.name = sequence.name
        self.last = len(sequence.stems) - 1
        self.objects: dict[int, ObjectScore] = {}  # every object that has begun

    def begin(self, object_id: int) -> None:
        """The object was shown to the tracker on this frame: it counts from the next one on."""
        self.objects[object_id] = ObjectScore()

    def step(self, index: int, truth: Array, void: Array | None, labels: Array) -> None:
        """Score the (H, W) label image of frame `index`; call it before `begin` of objects that begin there."""
        if index == self.last:
            return
        for object_id, scored in self.objects.items():
            j, f = score_masks(truth == object_id, labels == object_id, void)
            scored.frames.append(index)
            scored.J.append(j)
            scored.F.append(f)
            scored.in_sight.append(bool((truth == object_id).any()))

    def of(self, object_ids: Collection[int]) -> Score:
        """The score of these objects alone."""
        part = copy(self)
        part.objects = {i: self.objects[i] for i in object_ids}
        return part

    def curve(self, measure: str) -> tuple[list[int], list[float]]:
        """(frames, values 0..1): the mean of J or F over the objects, frame by frame."""
        values: dict[int, list[float]] = {}
        for scored in self.objects.values():
            for frame, value in zip(scored.frames, getattr(scored, measure), strict=True):
                values.setdefault(frame, []).append(value)
        return sorted(values), [float(np.mean(values[frame])) for frame in sorted(values)]

    def rows(self) -> list[dict[str, float]]:
        """A row for each object that has a frame to score."""
        return [scored.row() for scored in self.objects.values() if scored.frames]


def table(scores: Sequence[Score], ms_per_frame: float | None) -> dict[str, Any]:
    """What --json writes; null where there was nothing to score."""
    return {
        "sequences": {s.name: mean_row(s.rows()) for s in scores},
        "mean": mean_row([row for s in scores for row in s.rows()]),
        "ms_per_frame": ms_per_frame,
    }


def mean_row(rows: Sequence[dict[str, float]]) -> Row:
    """The mean of each column; None for all where there is no row."""
    return {c: float(np.mean([row[c] for row in rows])) if rows else None for c in COLUMNS}


def score_results(sequence: VideoSequence, results: Sequence[Path], tick: Tick = lambda: None) -> Score:
    """The score of a label image a frame, whoever wrote them; ConfigError where they don't fit the truth."""
    score, result_ids = Score(sequence), set[int]()
    for index, path in enumerate(results):
        labels, (truth, void) = read_label_file(path), sequence.labels(index)
        if labels.shape != truth.shape:
            actual, needed = (f"{size[1]}x{size[0]}" for size in (labels.shape, truth.shape))
            raise ConfigError(f"{path}: is {actual}, its truth {needed}; needs masks of the truth's size")
        if sequence.merged:
            labels = (labels != 0).astype(np.uint8)
        score.step(index, truth, void, labels)
        result_ids |= set(ids_of(labels))
        for object_id in ids_of(truth):
            if object_id not in score.objects:
                score.begin(object_id)
        tick()
    if extra_ids := sorted(result_ids - score.objects.keys()):
        true_ids = ", ".join(map(str, score.objects))
        raise ConfigError(f"{results[0].parent}: holds object {extra_ids[0]}; the truth has only {true_ids}")
    return score
