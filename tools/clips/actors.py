"""An actor of a drawn scene: a body, its way through the world, and how it is drawn into a frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.arrays import Array
from tools.clips.camera_effects import blur_along
from tools.clips.curves import Curve
from tools.clips.jointed_body import JointedBody, Part


@dataclass
class Actor:
    """A body and its way through the world."""

    body: JointedBody
    label: int
    start: tuple[float, float]
    path: tuple[Curve, Curve]
    velocity: tuple[float, float]
    turn: Curve
    grow: Curve  # of the log of its size
    yaw: Curve | None  # out of the plane: it narrows, and its other side shows
    shadow: float  # 0..1
    depth: float
    part_ids: Array  # of this actor's parts in the id image

    def pose(self, t: float) -> Array:
        """(3, 3): body px -> world px."""
        size = float(np.exp(np.clip(self.grow(t), -1, 1)))
        wide = 0.3 + 0.7 * abs(np.cos(self.yaw(t))) if self.yaw else 1.0
        c, s = np.cos(self.turn(t)), np.sin(self.turn(t))
        x = self.start[0] + self.velocity[0] * t + self.path[0](t)
        y = self.start[1] + self.velocity[1] * t + self.path[1](t)
        return np.array([[c * size * wide, -s * size, x], [s * size * wide, c * size, y], [0, 0, 1]])


def draw_shadow(image: Array, actor: Actor, pose: Array) -> None:
    """Darken the ground below an actor whose pose in the frame is given."""
    height = actor.body.height
    x, y = (pose @ [0.1 * height, 0.46 * height, 1])[:2]
    size = float(np.hypot(pose[0, 0], pose[1, 0]))
    dark = np.zeros(image.shape[:2], np.uint8)
    axes = (max(1, int(0.45 * height * size)), max(1, int(0.09 * height * size)))
    cv2.ellipse(dark, (int(x), int(y)), axes, 0, 0, 360, 255, -1)
    x, y, w, h = cv2.boundingRect(dark)
    if w == 0:
        return
    part = (slice(y, y + h), slice(x, x + w))
    shade = 1 - actor.shadow * cv2.blur(dark[part], (5, 5)).astype(np.float32) / 255
    image[part] = cv2.multiply(image[part], cv2.merge([shade] * 3), dtype=cv2.CV_8U)


def draw_actor(image: Array, ids: Array, actor: Actor, views: tuple[Array, Array], t: int, exposure: float) -> None:
    """Draw all parts, those behind first, into the frame and the id image; `views`: at frame t - 1 and at frame t."""
    pose, part_poses = views[1] @ actor.pose(t), actor.body.poses(t)
    last_pose, last_part_poses = views[0] @ actor.pose(t - 1), actor.body.poses(t - 1)
    for k in sorted(range(len(part_poses)), key=lambda k: actor.body.parts[k].depth(t)):
        square = pose @ np.vstack([part_poses[k], [0, 0, 1]])
        last_square = last_pose @ np.vstack([last_part_poses[k], [0, 0, 1]])
        motion = exposure * (square - last_square)[:2, 2]
        _draw_part(image, ids, actor.body.parts[k], square, t, motion, int(actor.part_ids[k]))


def _draw_part(image: Array, ids: Array, part: Part, square: Array, t: int, motion: Array, part_id: int) -> None:
    """Blend a part into its corner of the frame."""
    height, width = image.shape[:2]
    corners = square @ np.array([[-1, 1, -1, 1], [-1, -1, 1, 1], [1, 1, 1, 1]])
    room = 2 + np.minimum(np.abs(motion) / 2, 20)
    low = np.floor(corners[:2].min(axis=1) - room).astype(int)
    high = np.ceil(corners[:2].max(axis=1) + room).astype(int)
    x1, y1, x2, y2 = max(low[0], 0), max(low[1], 0), min(high[0], width), min(high[1], height)
    if x1 >= x2 or y1 >= y2:
        return
    sprite = part.sprite(t)
    half = (sprite.shape[0] - 1) / 2
    place = square.copy()
    place[:2, 2] -= square[:2, :2] @ [1, 1]
    place[:2, :2] /= half
    place[:2, 2] -= (x1, y1)
    flags = cv2.INTER_LINEAR if abs(np.linalg.det(place[:2, :2])) > 0.2 else cv2.INTER_AREA
    drawn_part = blur_along(cv2.warpAffine(sprite, place[:2], (x2 - x1, y2 - y1), flags=flags), motion)
    alpha = drawn_part[..., 3]
    corner = image[y1:y2, x1:x2]
    corner[:] = np.clip(corner * (1 - alpha[..., None]) + drawn_part[..., :3], 0, 255).astype(np.uint8)
    ids[y1:y2, x1:x2][alpha > 0.5] = part_id
