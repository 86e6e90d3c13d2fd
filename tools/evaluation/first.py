"""`evaluate.py first`: how good the first mask of a prompt is, with and without one more frame to see motion in.

The further frame is the one *after* the prompt's, shown before it: on the first frame of a data set there is none
before, and to motion the two are alike.

With `--clicks N --candidates` it is N clicks alone: the mask that they give without a choice, and the best of those
that the mask model offers for them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np

from nodes.capture.folder import read_picture
from nodes.decoder.backends import make_model
from nodes.decoder.mask_model import ChoosingModel, Query
from stream.arrays import Array
from stream.errors import ConfigError
from stream.geometry import resize_mask
from stream.messages import ObjectTrack, Prompt
from stream.settings.config import Config
from tools.evaluation.first_prompts import PromptKind, make_clicks, make_prompt
from tools.evaluation.in_process import InProcessGraph, lossless
from tools.evaluation.layout import VideoSequence, ids_of, sequences_of
from tools.evaluation.measures import region_similarity
from tools.evaluation.pool import Tick, run_tasks

COLUMNS: dict[str, tuple[PromptKind, bool]] = {
    "points": ("points", False),
    "points+frame": ("points", True),
    "box": ("box", False),
    "box+frame": ("box", True),
}


@dataclass(frozen=True)
class Task:
    """One sequence to prompt."""

    sequence: VideoSequence
    config: Config
    clicks: int = 1


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What --json writes: first-frame IoU, 0..100, of each way to prompt."""
    config = lossless(options.config, options.overrides)
    sequences = sequences_of(options)
    for s in sequences:
        if len(s.frames) < 2 or 0 not in s.annotations:
            raise ConfigError(f"sequence {s.name}: needs two frames and an annotation of the first")
    if options.candidates:
        tasks = [Task(s, config, options.clicks) for s in sequences]
        rows = run_tasks(choose, tasks, [1] * len(tasks), jobs=options.jobs, title="first")
    else:
        tasks = [Task(s, config) for s in sequences]
        rows = run_tasks(prompt, tasks, [len(COLUMNS)] * len(tasks), jobs=options.jobs, title="first")
    return {
        "sequences": {s.name: row for s, row in zip(sequences, rows, strict=True)},
        "mean": {column: float(np.mean([row[column] for row in rows])) for column in rows[0]},
    }


def prompt(task: Task, tick: Tick) -> dict[str, float]:
    """The IoU of each way to prompt, 0..100, mean over the objects of the first frame."""
    truth, _ = task.sequence.labels(0)
    rgb, following = (read_picture(path).rgb for path in task.sequence.frames[:2])
    row = {}
    for column, (kind, with_frame) in COLUMNS.items():
        graph = InProcessGraph(task.config)
        if with_frame:
            graph.step(following)
        masks = graph.step(rgb, [make_prompt(kind, i, _mask(truth, i, rgb), rgb) for i in ids_of(truth)])
        labels = resize_mask(masks[-1].label_image(), truth.shape)
        row[column] = 100 * float(np.mean([region_similarity(truth == i, labels == i) for i in ids_of(truth)]))
        tick()
    return row


def choose(task: Task, tick: Tick) -> dict[str, float]:
    """The IoU of what clicks give, 0..100, mean over the objects: by default, and by the best of the candidates."""
    truth, _ = task.sequence.labels(0)
    rgb = read_picture(task.sequence.frames[0]).rgb
    model = make_model(task.config.decoder)
    if not isinstance(model, ChoosingModel):
        raise ConfigError(
            f"decoder.backend {task.config.decoder.backend} knows one mask of a prompt; leave out --candidates"
        )
    embedding = model.encode(rgb)
    default, best, offered = [], [], []
    for object_id in ids_of(truth):
        clicks = make_clicks(object_id, _mask(truth, object_id, rgb), task.clicks)
        candidates = model.candidates(embedding, Query(_points_of(clicks), clicks))
        masks = [resize_mask(mask, truth.shape) != 0 for mask in candidates.masks]
        scores = [region_similarity(truth == object_id, mask) for mask in masks]
        default.append(scores[candidates.default])
        best.append(max(scores))
        offered.append(len(masks))
    tick()
    return {
        "default": 100 * float(np.mean(default)),
        "best": 100 * float(np.mean(best)),
        "offered": float(np.mean(offered)),
    }


def _points_of(clicks: Prompt) -> ObjectTrack:
    """The points of an object on the frame that it was clicked on."""
    assert clicks.xy is not None, "clicks are points"
    assert clicks.labels is not None, "and have labels"
    seen = np.ones(len(clicks.xy), np.float32)
    return ObjectTrack(object_id=clicks.object_id, xy=clicks.xy, visibility=seen, labels=clicks.labels)


def _mask(truth: Array, object_id: int, rgb: Array) -> Array:
    return resize_mask((truth == object_id).astype(np.uint8), rgb.shape[:2])
