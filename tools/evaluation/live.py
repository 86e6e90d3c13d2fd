"""`evaluate.py live`: sequences played in real time into the whole graph; what a consumer had at each moment is scored.

Frame t is on screen from t / fps until the next one comes. What counts for it is the newest mask that the consumer had
received `due_ms` after it appeared: by default one frame's time, just before it leaves the screen. A mask that comes
later counts for the frames that are on screen then, so lateness and frames passed over cost accuracy. The column
`J&F_at_once` scores the mask at the moment the frame appears (due_ms = 0), which no live system has: even a perfect one
shows the mask of the frame before. `answered` is the share of frames that masks came for; with --loss, `J&F_loss` is
what a lossless run of the same stages (`vos`) has more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from nodes.capture.folder import read_picture
from nodes.capture.pace import FALLBACK_FPS
from nodes.renderer.sinks import label_png
from stream.arrays import Array
from stream.errors import ConfigError, StreamError
from stream.geometry import resize_mask
from stream.messages import Masks, Prompt
from tools.bench.run import GraphRun
from tools.evaluation import vos
from tools.evaluation.first_prompts import PromptKind, make_prompt
from tools.evaluation.in_process import lossless
from tools.evaluation.layout import VideoSequence, ids_of, sequences_of
from tools.evaluation.page import Chapter, write_page
from tools.evaluation.pool import Tick, run_tasks
from tools.evaluation.scoring import Score, mean_row, table

AT_ONCE, ANSWERED, LOSS = "J&F_at_once", "answered", "J&F_loss"


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What --json writes: the table of `vos`, and how late the masks were."""
    overrides = dict(options.overrides)
    if options.fps != FALLBACK_FPS:
        overrides["capture.folder_fps"] = options.fps
    config = lossless(options.config, overrides)  # a wrong key is an error before the first run
    sequences = sequences_of(options)
    for s in sequences:
        if 0 not in s.annotations or not s.has_truth:
            raise ConfigError(f"sequence {s.name}: live scoring needs truth, and objects on the first frame")
    assignments = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    arguments = ["--config", options.config, *(a for text in assignments for a in ("--set", text))]
    tasks = [Task(s, tuple(arguments), options.prompt, options.fps) for s in sequences]
    # One at a time, whatever --jobs says: two graphs would take each other's cores.
    recordings = run_tasks(listen, tasks, [len(s.frames) for s in sequences], jobs=1, title="live")
    due_ms = 1e3 / options.fps if options.due is None else options.due
    scores = [r.score(due_ms) for r in recordings]
    report = table(scores, None)
    _add(report, AT_ONCE, [r.score(0.0) for r in recordings])
    for r in recordings:
        report["sequences"][r.task.sequence.name][ANSWERED] = 100 * len(r.masks) / len(r.task.sequence.frames)
        if (first_id := r.masks[0].stamp.frame_id) > 0:
            print(
                f"live: {r.task.sequence.name}: the graph was not ready when it began; the prompt of frame 0 was taken "
                f"on frame {first_id}",
                file=sys.stderr,
            )
    report["mean"][ANSWERED] = 100 * sum(len(r.masks) for r in recordings) / sum(len(s.frames) for s in sequences)
    if options.loss:
        lossless_tasks = [vos.Task(s, config, options.prompt, None) for s in sequences]
        outcomes = run_tasks(
            vos.follow, lossless_tasks, [len(s.frames) for s in sequences], jobs=1, title="live: lossless"
        )
        # A live run is prompted on the first frame alone.
        _add(report, LOSS, [o.score.of(live.objects) for o, live in zip(outcomes, scores, strict=True)])
        for row in (*report["sequences"].values(), report["mean"]):
            row[LOSS] -= row["J&F"]
    ages = np.concatenate([r.ages_ms() for r in recordings])
    report["latency_ms"] = {f"p{q}": float(np.percentile(ages, q)) for q in (50, 95, 99)}  # capture to the consumer
    report["frames"] = {"shown": sum(len(s.frames) for s in sequences), "received": len(ages)}
    report["due_ms"] = due_ms
    if options.html:
        chapters = [Chapter(r.task.sequence, s, r.on_screen(due_ms)) for r, s in zip(recordings, scores, strict=True)]
        write_page(options.html, f"live: {options.config} at {options.fps:g} frames/s", report, chapters)
    return report


def _add(report: dict[str, Any], column: str, scores: Sequence[Score]) -> None:
    """A column of the J&F of other masks of the same sequences."""
    for score in scores:
        report["sequences"][score.name][column] = mean_row(score.rows())["J&F"]
    report["mean"][column] = mean_row([row for score in scores for row in score.rows()])["J&F"]


@dataclass(frozen=True)
class Task:
    """One sequence to play."""

    sequence: VideoSequence
    arguments: tuple[str, ...]
    prompt: PromptKind
    fps: float


@dataclass
class Recording:
    """What a consumer of the graph received: masks, and when (ns of the monotonic clock that the graph uses, too)."""

    task: Task
    masks: list[Masks] = field(default_factory=list)
    arrivals_ns: list[int] = field(default_factory=list)

    def ages_ms(self) -> Array:
        """(K,): capture to arrival, of each message."""
        return np.array([at - m.stamp.captured_ns for m, at in zip(self.masks, self.arrivals_ns, strict=True)]) / 1e6

    def on_screen(self, due_ms: float) -> Callable[[int], Array]:
        """Frame index -> the (H, W) label image at hand `due_ms` after the frame appeared; empty before any."""
        sequence, period_ns = self.task.sequence, 1e9 / self.task.fps
        size = sequence.labels(0)[0].shape
        # A frame that was read late is captured late, yet it was to be seen at its own time: the start is reckoned
        # from the frame with the least delay.
        start_ns = min(m.stamp.captured_ns - m.stamp.frame_id * period_ns for m in self.masks)
        due_ns = start_ns + period_ns * np.arange(len(sequence.frames)) + due_ms * 1e6
        received = np.searchsorted(np.array(self.arrivals_ns), due_ns, side="right")  # messages, until then
        newest = list(accumulate(self.masks, _newer))  # of those

        def labels(index: int) -> Array:
            if received[index] == 0:
                return np.zeros(size, np.uint8)
            return resize_mask(newest[received[index] - 1].label_image(), size)

        return labels

    def score(self, due_ms: float) -> Score:
        """The score of what was at hand; the objects are those of the first frame."""
        sequence, on_screen = self.task.sequence, self.on_screen(due_ms)
        scored = Score(sequence)
        for index in sorted(sequence.annotations):
            truth, void = sequence.labels(index)
            scored.step(index, truth, void, on_screen(index))
            if index == 0:
                for object_id in ids_of(truth):
                    scored.begin(object_id)
        return scored


def _newer(one: Masks, other: Masks) -> Masks:
    return other if other.stamp.frame_id >= one.stamp.frame_id else one


def listen(task: Task, tick: Tick) -> Recording:
    """Play one sequence and record what is published."""
    recording, ticked = Recording(task), 0
    with tempfile.TemporaryDirectory(prefix="spl-live-") as folder:
        source = ["--source", str(task.sequence.frames[0].parent), "--realtime"]
        with GraphRun([*task.arguments, *source, *first_prompts(task, Path(folder))]) as run:
            for message in run.messages():
                recording.arrivals_ns.append(time.monotonic_ns())
                recording.masks.append(message.masks)
                for _ in range(ticked, message.masks.stamp.frame_id + 1):
                    tick()
                ticked = message.masks.stamp.frame_id + 1
    if not recording.masks:
        raise StreamError(f"sequence {task.sequence.name}: the graph ended without publishing masks")
    return recording


def first_prompts(task: Task, folder: Path) -> list[str]:
    """The arguments that prompt every object of the first frame."""
    rgb = read_picture(task.sequence.frames[0]).rgb
    truth = resize_mask(task.sequence.labels(0)[0], rgb.shape[:2])
    if task.prompt == "mask":
        (folder / "first.png").write_bytes(label_png(truth))
        return ["--mask", str(folder / "first.png")]
    prompts = [make_prompt(task.prompt, i, truth == i, rgb) for i in ids_of(truth)]
    return [argument for prompt in prompts for argument in _as_arguments(prompt)]


def _as_arguments(prompt: Prompt) -> list[str]:
    if prompt.box is not None:
        return ["--box", f"{prompt.object_id}:" + ",".join(f"{v:g}" for v in prompt.box)]
    assert prompt.xy is not None
    assert prompt.labels is not None
    points = zip(prompt.xy.tolist(), prompt.labels.tolist(), strict=True)
    return [a for (x, y), label in points for a in ("--point", f"{prompt.object_id}:{x:g},{y:g},{label}")]
