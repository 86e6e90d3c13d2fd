"""`evaluate.py points`: drawn clips with known trajectories in, how well the preset's tracker follows their points out.

Each point is shown to the tracker on the first frame it is seen on and is followed from there, as in TAP-Vid's "first"
mode. Points of one object that begin together are one object to the tracker. Nothing is drawn anew on the way. The
clips are the demo scene, which is easy, and scenes of `tools/clips`, which are not.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.arrays import Array
from stream.errors import ConfigError
from stream.messages import VISIBLE, Message, Prompt, Tracks
from stream.settings.config import Config
from tools.evaluation.drawn_clips import DrawnClip, demo_clip, scene_clip
from tools.evaluation.in_process import InProcessTracker, lossless
from tools.evaluation.point_measures import Trajectories
from tools.evaluation.points_page import Chapter, chapter_of, write_page
from tools.evaluation.pool import Tick, run_tasks

# The first seeds from 200 001 on that show 60 points or more on bodies of more than a twentieth of the frame;
# tools/fit_lite.py draws none of them. They move by 3 to 7 px a frame, 200002 by 15.
SCENES = (200_001, 200_002, 200_004, 200_008, 200_010, 200_011)
CLIPS: dict[str, Callable[[int], DrawnClip]] = {  # name -> a clip of so many frames
    "demo": demo_clip,
    **{f"scene-{seed}": functools.partial(scene_clip, seed) for seed in SCENES},
}


@dataclass(frozen=True)
class Task:
    """One clip to track."""

    clip: str
    frames: int
    config: Config
    offline: bool
    pictured: bool  # for --html


@dataclass(frozen=True)
class Outcome:
    """The row of one clip, and its chapter of the page, if there is to be one."""

    row: dict[str, float]
    chapter: Chapter | None


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What --json writes."""
    if options.frames < 2:
        raise ConfigError(f"--frames is {options.frames}; needs 2 or more")
    names = chosen(options.sequences)
    config = lossless(options.config, {**options.overrides, "tracker.reinit": False})
    tasks = [Task(name, options.frames, config, options.offline, options.html is not None) for name in names]
    outcomes = run_tasks(track, tasks, [options.frames] * len(tasks), jobs=options.jobs, title="points")
    rows = {task.clip: outcome.row for task, outcome in zip(tasks, outcomes, strict=True)}
    mean = {column: float(np.mean([row[column] for row in rows.values()])) for column in rows[names[0]]}
    if options.html:
        way = "offline" if options.offline else "live"
        title = f"points: {options.config}, {way}, {options.frames} frames a clip"
        write_page(options.html, title, rows, mean, [o.chapter for o in outcomes if o.chapter is not None])
    return {"sequences": rows, "mean": mean}


def chosen(text: str) -> list[str]:
    """The clips that --sequences names, comma-separated; all where it names none."""
    names = [name for name in text.split(",") if name] or list(CLIPS)
    for name in names:
        if name not in CLIPS:
            raise ConfigError(f"--sequences: there is no drawn clip {name!r}; there are {', '.join(CLIPS)}")
    return names


def track(task: Task, tick: Tick) -> Outcome:
    """Draw one clip, track its points and score them."""
    clip = CLIPS[task.clip](task.frames)
    queried = np.flatnonzero(clip.query_frames() >= 0)
    true_xy, true_visible, queries = clip.points_xy[:, queried], clip.visible[:, queried], clip.query_frames()[queried]
    if task.offline:
        xy, visible = _offline(task.config, clip, true_xy, queries)
    else:
        xy, visible = _live(task.config, clip, true_xy, queries, tick)
    trajectories = Trajectories(true_xy, true_visible, xy, visible, queries)
    return Outcome(trajectories.scores(), chapter_of(task.clip, clip.frames, trajectories) if task.pictured else None)


def groups(clip: DrawnClip, true_xy: Array, queries: Array) -> list[Array]:
    """Which points (indices) are one object to the tracker: they begin together, on the same drawn object."""
    x, y = np.rint(true_xy[queries, np.arange(len(queries))]).astype(int).T
    owners = clip.labels[queries, np.clip(y, 0, clip.labels.shape[1] - 1), np.clip(x, 0, clip.labels.shape[2] - 1)]
    keys = np.stack([queries, owners])
    return [np.flatnonzero((keys == key[:, None]).all(axis=0)) for key in np.unique(keys, axis=1).T]


def _live(config: Config, clip: DrawnClip, true_xy: Array, queries: Array, tick: Tick) -> tuple[Array, Array]:
    """(T, N, 2) positions and (T, N) visibility, as the live graph's tracker answers frame by frame."""
    members = dict(enumerate(groups(clip, true_xy, queries), start=1))
    xy, visible = np.zeros(true_xy.shape, np.float32), np.zeros(true_xy.shape[:2], bool)

    def note(messages: list[Message]) -> None:
        for tracks in (m for m in messages if isinstance(m, Tracks)):
            for track in tracks.objects:
                points = members[track.object_id]
                xy[tracks.frame.stamp.frame_id, points] = track.xy
                visible[tracks.frame.stamp.frame_id, points] = track.visibility > VISIBLE

    tracker = InProcessTracker(config)
    for index, rgb in enumerate(clip.frames):
        prompts = [
            Prompt(object_id=object_id, xy=true_xy[index, points], labels=np.ones(len(points), np.uint8))
            for object_id, points in members.items()
            if queries[points[0]] == index
        ]
        note(tracker.step(rgb, prompts))
        tick()
    note(tracker.finish())
    return xy, visible


def _offline(config: Config, clip: DrawnClip, true_xy: Array, queries: Array) -> tuple[Array, Array]:
    """The same by the paper's offline tracker, which sees the clip in both directions (docs/sam_pt.md, b)."""
    from nodes.tracker.backends import make_model
    from tools.offline.chaining import two_way

    model = make_model(config.tracker)
    features = [model.encode(rgb) for rgb in clip.frames]
    tracked, _ = two_way(model, features, queries, true_xy[queries, np.arange(len(queries))], config.tracker.horizon)
    return tracked.xy, tracked.probability > VISIBLE
