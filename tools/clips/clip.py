"""A seed in, a drawn clip out: frames, label images, and points followed through it, with their visibility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.arrays import Array
from tools.clips.lens import h264, jpeg
from tools.clips.scene import Actor, Scene
from tools.clips.textures import Size

POINTS_A_PART, GROUND_POINTS = 6, 60


@dataclass(frozen=True)
class Clip:
    """What was drawn. T frames, N points."""

    frames: list[Array]  # (H, W, 3) uint8 RGB
    labels: list[Array]  # (H, W) uint8: 0, or the number of the object that is seen there
    points: Array  # (T, N, 2) float32 frame px
    visible: Array  # (T, N) bool
    owners: Array  # (N,) uint8 label of the object that a point is on; 0: the backdrop


def draw_clip(seed: int, size: Size = (480, 854), frames: int = 24) -> Clip:
    """The clip of a seed: the same on every machine but for the codecs' versions."""
    scene = Scene(seed, size, frames)
    rng = np.random.default_rng([seed, 1])
    owner = np.zeros(1 + sum(len(a.body.parts) for a in scene.actors), np.uint8)
    for actor in scene.actors:
        owner[actor.entry] = actor.label
    marks = [
        (a, k, rng.uniform(-0.8, 0.8, (POINTS_A_PART, 2)) * (1.5 if a.body.parts[k].roll else 1.0, 1))
        for a in scene.actors
        for k in range(len(a.body.parts))
    ]
    ground = rng.uniform(0.2, 0.8, (GROUND_POINTS, 2)) * scene.world[::-1]
    pictures, labels, points, visible = [], [], [], []
    for t in range(frames):
        image, ids = scene.draw(t)
        pictures.append(scene.lens.take(image, t))
        labels.append(owner[ids])
        xy, seen = _points(scene, marks, ground, t, ids)
        points.append(xy)
        visible.append(seen)
    if rng.random() < 0.5:
        pictures = h264(pictures, int(rng.integers(18, 34)))
    if rng.random() < 0.7:
        quality = int(rng.integers(40, 96))
        pictures = [jpeg(p, quality) for p in pictures]
    owners = np.concatenate(
        [np.full(len(m), a.label, np.uint8) for a, _, m in marks] + [np.zeros(len(ground), np.uint8)]
    )
    return Clip(pictures, labels, np.stack(points), np.stack(visible), owners)


def _points(
    scene: Scene, marks: list[tuple[Actor, int, Array]], ground: Array, t: int, ids: Array
) -> tuple[Array, Array]:
    """Where every point is on a frame (N, 2), and whether it is seen (N,)."""
    height, width = scene.size
    xy, faces, wanted = [], [], []
    view, poses = scene.view(t), {id(a): a.body.poses(t) for a in scene.actors}
    for actor, k, surface_xy in marks:
        placed, facing = actor.body.parts[k].place(surface_xy, t)
        square = view @ actor.pose(t) @ np.vstack([poses[id(actor)][k], [0, 0, 1]])
        xy.append(placed @ square[:2, :2].T + square[:2, 2])
        faces.append(facing)
        wanted.append(np.full(len(placed), actor.entry[k]))
    xy.append(ground @ view[:2, :2].T + view[:2, 2])
    faces.append(np.ones(len(ground), bool))
    wanted.append(np.zeros(len(ground), int))
    at = np.concatenate(xy)
    column, row = np.rint(at).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    there = ids[row.clip(0, height - 1), column.clip(0, width - 1)]
    return at.astype(np.float32), np.concatenate(faces) & inside & (there == np.concatenate(wanted))
