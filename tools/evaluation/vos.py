"""`evaluate.py vos`: a data set and a preset in; J and F of every sequence, and a submission folder out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nodes.capture.folder import read_picture
from nodes.renderer.sinks import label_png
from stream.arrays import Array
from stream.geometry import resize_mask
from stream.messages import Masks
from stream.settings.config import Config
from tools.evaluation.first_prompts import PromptKind, make_prompt
from tools.evaluation.in_process import InProcessGraph, lossless
from tools.evaluation.layout import VideoSequence, ids_of, sequences_of
from tools.evaluation.page import Chapter, write_page
from tools.evaluation.pool import Tick, run_tasks
from tools.evaluation.scoring import Score, table
from tools.evaluation.state_table import judge, state_table


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What --json writes."""
    config = lossless(options.config, options.overrides)
    sequences = sequences_of(options)
    save = options.save
    if save is not None and any(s.submitted is not None for s in sequences):
        save = save / "Annotations"  # as the server of YouTube-VOS wants it
    tasks = [Task(s, config, options.prompt, save) for s in sequences]
    outcomes = run_tasks(follow, tasks, [len(s.frames) for s in sequences], jobs=options.jobs, title="vos")
    report = table([o.score for o in outcomes], 1e3 * sum(o.spent_s for o in outcomes) / sum(len(o) for o in outcomes))
    report["states"] = state_table(one for o in outcomes for one in judge(o.score, o.masks))
    if options.html:
        chapters = [Chapter(s, o.score, o.labels) for s, o in zip(sequences, outcomes, strict=True)]
        write_page(options.html, f"vos: {options.config}, first frame by {options.prompt}", report, chapters)
    return report


@dataclass(frozen=True)
class Task:
    """One sequence to follow."""

    sequence: VideoSequence
    config: Config
    prompt: PromptKind
    save: Path | None  # folder of label images, SEQ/00000.png


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    score: Score  # without a frame where there is no truth
    spent_s: float  # inside tracker and decoder
    masks: list[Masks | None]  # one a frame; None for a frame that was passed over
    size: tuple[int, int]  # (H, W) of the annotations

    def __len__(self) -> int:
        return len(self.masks)

    def labels(self, index: int) -> Array:
        """(H, W) label image of a frame."""
        return label_image_of(self.masks[index], self.size)


def follow(task: Task, tick: Tick) -> Outcome:
    """Follow every object of a sequence from the frame it begins on, and score its masks as they come."""
    graph, judge = InProcessGraph(task.config), Judge(task)
    for index, path in enumerate(task.sequence.frames):
        rgb = read_picture(path).rgb
        beginnings = judge.beginnings(index)
        prompts = [make_prompt(task.prompt, i, resize_mask(m, rgb.shape[:2]), rgb) for i, m in beginnings.items()]
        judge.take(graph.step(rgb, prompts))
        tick()
    judge.take(graph.finish())
    judge.pass_over(len(task.sequence.frames))
    return Outcome(judge.score, graph.spent_s, judge.masks, judge.size)


class Judge:
    """Reads the annotations: says where objects begin, compares masks with the truth, and writes them."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.sequence = task.sequence
        self.score = Score(task.sequence)
        self.masks: list[Masks | None] = []
        first, _ = self.sequence.labels(min(self.sequence.annotations))
        self.size = (first.shape[0], first.shape[1])
        self._beginnings: dict[int, dict[int, Array]] = {}  # frame -> true mask of each object that begins there
        self._begun_ids: set[int] = set()

    def beginnings(self, index: int) -> dict[int, Array]:
        """The true mask, (H, W) uint8, of each object that begins on a frame."""
        if index not in self.sequence.annotations:
            return {}
        truth, _ = self.sequence.labels(index)
        new = [i for i in ids_of(truth) if i not in self._begun_ids]
        self._begun_ids |= set(new)
        self._beginnings[index] = {i: (truth == i).astype(np.uint8) for i in new}
        return self._beginnings[index]

    def take(self, masks: Sequence[Masks]) -> None:
        """The masks of the next frames; one that none came for counts as empty."""
        for one in masks:
            self.pass_over(one.stamp.frame_id)
            self._judge(one)

    def pass_over(self, until: int) -> None:
        """No masks come any more for frames before that one."""
        while len(self.masks) < until:
            self._judge(None)

    def _judge(self, masks: Masks | None) -> None:
        index = len(self.masks)
        self.masks.append(masks)
        labels = label_image_of(masks, self.size)
        beginnings = self._beginnings.pop(index, {})
        if self.sequence.has_truth and index in self.sequence.annotations:
            self.score.step(index, *self.sequence.labels(index), labels)
        for object_id in beginnings:
            self.score.begin(object_id)
        self._save(index, labels, beginnings)

    def _save(self, index: int, labels: Array, beginnings: dict[int, Array]) -> None:
        """Write one label image; where an object begins it holds the mask that was given, as the servers expect."""
        stem = self.sequence.stems[index]
        if self.task.save is None or (self.sequence.submitted is not None and stem not in self.sequence.submitted):
            return
        for object_id, mask in beginnings.items():
            if self.task.prompt == "mask":
                labels[labels == object_id] = 0
                labels[mask != 0] = object_id
        folder = self.task.save / self.sequence.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}.png").write_bytes(label_png(labels))


def label_image_of(masks: Masks | None, size: tuple[int, int]) -> Array:
    """(H, W) label image at the size of the annotations; empty where there are no masks."""
    return np.zeros(size, np.uint8) if masks is None else resize_mask(masks.label_image(), size)
