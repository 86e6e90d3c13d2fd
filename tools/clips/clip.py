"""A seed in, a drawn clip out: frames, label images, and points followed through it, with their visibility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.arrays import Array
from tools.clips.actors import Actor
from tools.clips.camera_effects import h264, inter_coded, jpeg
from tools.clips.layered_scene import LayeredScene, Variety
from tools.clips.textures import Size

POINTS_A_PART, BACKDROP_POINTS = 6, 60


@dataclass(frozen=True)
class PartPoints:
    """Points on the surface of a part of a body."""

    actor: Actor
    part: int  # its index
    surface_xy: Array  # (n, 2) as `Part.place` takes them


@dataclass(frozen=True)
class Clip:
    """What was drawn. T frames, N points."""

    frames: list[Array]  # (H, W, 3) uint8 RGB
    labels: list[Array]  # (H, W) uint8: 0, or the number of the object that is seen there
    points: Array  # (T, N, 2) float32 frame px
    visible: Array  # (T, N) bool
    owners: Array  # (N,) uint8 label of the object that a point is on; 0: the backdrop


def draw_clip(seed: int, size: Size = (480, 854), frames: int = 24, variety: Variety = Variety.PLAIN) -> Clip:
    """The clip of a seed: the same on every machine but for the codecs' versions. Plain ones need PyAV."""
    scene = LayeredScene(seed, size, frames, variety)
    rng = np.random.default_rng([seed, 1])
    label_of_part = np.zeros(1 + sum(len(a.body.parts) for a in scene.actors), np.uint8)
    for actor in scene.actors:
        label_of_part[actor.part_ids] = actor.label
    on_parts = [
        PartPoints(a, k, rng.uniform(-0.8, 0.8, (POINTS_A_PART, 2)) * (1.5 if a.body.parts[k].roll else 1.0, 1))
        for a in scene.actors
        for k in range(len(a.body.parts))
    ]
    on_backdrop = rng.uniform(0.2, 0.8, (BACKDROP_POINTS, 2)) * scene.world[::-1]
    pictures, labels, points, visible = [], [], [], []
    for t in range(frames):
        image, ids = scene.draw(t)
        pictures.append(scene.effects.apply(image, t))
        labels.append(label_of_part[ids])
        xy, in_sight = _place_points(scene, on_parts, on_backdrop, t, ids)
        points.append(xy)
        visible.append(in_sight)
    if rng.random() < 0.5:
        if variety is Variety.PLAIN:
            pictures = h264(pictures, int(rng.integers(18, 34)))
        else:
            pictures = inter_coded(pictures, int(rng.integers(25, 85)), int(rng.integers(6, 40)))
    if rng.random() < 0.7:
        quality = int(rng.integers(40, 96))
        pictures = [jpeg(p, quality) for p in pictures]
    owners = [np.full(len(p.surface_xy), p.actor.label, np.uint8) for p in on_parts]
    owners.append(np.zeros(len(on_backdrop), np.uint8))
    return Clip(pictures, labels, np.stack(points), np.stack(visible), np.concatenate(owners))


def _place_points(
    scene: LayeredScene, on_parts: list[PartPoints], on_backdrop: Array, t: int, ids: Array
) -> tuple[Array, Array]:
    """Where every point is on a frame (N, 2), and whether it is in sight (N,)."""
    height, width = scene.size
    xy, facing, part_ids = [], [], []
    view, poses = scene.view(t), {id(a): a.body.poses(t) for a in scene.actors}
    for points in on_parts:
        actor, k = points.actor, points.part
        in_square, faces_us = actor.body.parts[k].place(points.surface_xy, t)
        square = view @ actor.pose(t) @ np.vstack([poses[id(actor)][k], [0, 0, 1]])
        xy.append(in_square @ square[:2, :2].T + square[:2, 2])
        facing.append(faces_us)
        part_ids.append(np.full(len(in_square), actor.part_ids[k]))
    xy.append(on_backdrop @ view[:2, :2].T + view[:2, 2])
    facing.append(np.ones(len(on_backdrop), bool))
    part_ids.append(np.zeros(len(on_backdrop), int))
    at = np.concatenate(xy)
    column, row = np.rint(at).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    there = ids[row.clip(0, height - 1), column.clip(0, width - 1)]
    return at.astype(np.float32), np.concatenate(facing) & inside & (there == np.concatenate(part_ids))
