"""Drawn clips with known trajectories: pictures, label images, and where each point of the drawing is and is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import tau

import cv2
import numpy as np

from nodes.capture.scene import (
    BASE_H,
    BASE_W,
    PERIOD,
    DemoScene,
    Pose,
    planet_pose,
    rock_pose,
    star_pose,
)
from stream.arrays import Array
from tools.clips.clip import draw_clip

POSES: dict[int, Callable[[float], Pose]] = {1: planet_pose, 2: star_pose, 3: rock_pose}  # by label in the demo scene
POINTS = 16  # of each object, for each frame that some are chosen on
EDGE_PX = 4  # a point is chosen no nearer to its object's edge: there a patch shows the background as well
SEED = 72  # of the choice of points


@dataclass(frozen=True)
class DrawnClip:
    """A clip whose truth is known because it was drawn."""

    frames: Array  # (T, H, W, 3) uint8, RGB
    labels: Array  # (T, H, W) uint8, the object seen in each pixel, 0 the background
    points_xy: Array  # (T, N, 2) float32, frame px; also where the point is hidden or outside
    visible: Array  # (T, N) bool

    def query_frames(self) -> Array:
        """(N,): the first frame that each point is seen on; -1 for one that never is."""
        return np.where(self.visible.any(axis=0), self.visible.argmax(axis=0), -1)


def demo_clip(frames: int, size: tuple[int, int] = (BASE_H, BASE_W)) -> DrawnClip:
    """The demo scene (`nodes/capture/scene.py`), with points that lie on its three objects."""
    scene = DemoScene(size, frames=frames)
    drawn = [scene.draw(i) for i in range(frames)]
    labels = np.stack([truth for _, truth in drawn])
    rng = np.random.default_rng(SEED)
    paths, owners = [], []
    for label, pose_at in POSES.items():
        for chosen_on in range(0, frames, max(1, frames // 3)):
            inner = cv2.erode((labels[chosen_on] == label).astype(np.uint8), np.ones((2 * EDGE_PX + 1,) * 2, np.uint8))
            y, x = np.nonzero(inner)
            if x.size < POINTS:
                continue
            pick = rng.choice(x.size, POINTS, replace=False)
            chosen = np.stack([x[pick], y[pick]], axis=1).astype(np.float64)
            at = [_placed(pose_at(tau * (i % PERIOD) / PERIOD), size) for i in range(frames)]
            start = np.linalg.inv(at[chosen_on])
            homogeneous = np.column_stack([chosen, np.ones(POINTS)])
            paths.append(np.stack([(homogeneous @ (m @ start).T)[:, :2] for m in at]))
            owners += [label] * POINTS
    xy = np.concatenate(paths, axis=1).astype(np.float32)
    return DrawnClip(np.stack([rgb for rgb, _ in drawn]), labels, xy, _seen(labels, xy, np.array(owners)))


def scene_clip(seed: int, frames: int, size: tuple[int, int] = (BASE_H, BASE_W)) -> DrawnClip:
    """A scene of `tools/clips`: jointed bodies before a moving camera, hidden, blurred, compressed.

    Only points on its bodies: the ground may ripple as water does, and then its points have no certain place.
    """
    clip = draw_clip(seed, size, frames)
    on_body = clip.owners > 0
    return DrawnClip(np.stack(clip.frames), np.stack(clip.labels), clip.points[:, on_body], clip.visible[:, on_body])


def _placed(pose: Pose, size: tuple[int, int]) -> Array:
    """(3, 3): from an object's own coordinates to frame px."""
    sy, sx = size[0] / BASE_H, size[1] / BASE_W
    scale = pose.scale * min(sx, sy)  # objects keep their shape where the frame does not
    c, s = scale * np.cos(pose.turn), scale * np.sin(pose.turn)
    return np.array([[c, -s, pose.x * sx], [s, c, pose.y * sy], [0, 0, 1]])


def _seen(labels: Array, xy: Array, owners: Array) -> Array:
    """(T, N) bool: where the pixel under a point shows the point's own object."""
    frames, height, width = labels.shape
    x, y = np.rint(xy[..., 0]).astype(int), np.rint(xy[..., 1]).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    under = labels[np.arange(frames)[:, None], np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.asarray(inside & (under == owners[None]))
