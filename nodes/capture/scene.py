"""A frame number in, a drawn picture and its true label image out: the demo's small solar system.

Everything expensive (noise, shading) is painted once into sprites, so that a frame costs a few affine warps. Positions
are given for a frame of 640x360 and stretch with the frame; the path closes after `PERIOD` frames. What happens on it:

    object 1   a banded planet, always in sight
    object 2   a spotted star that passes behind the planet, twice in a period
    object 3   a cratered rock that leaves the frame on the right and comes back
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, sin, tau

import cv2
import numpy as np

from nodes.capture.frame_code import draw_frame_code
from nodes.capture.paint import night_sky, planet, rock, star
from stream.arrays import Array
from stream.messages import Prompt

PERIOD = 250  # frames until every path closes: 10 s at 25 fps
BASE_W, BASE_H = 640, 360  # the frame that the paths are written for; px a frame stay below 6 there
SPRITE_DETAIL = 1.3  # sprite px per frame px: enough for the largest scale, too little to alias
SKY_MARGIN = 0.12  # of the frame's width: how far the sky pans to each side
GRAIN = 2.2  # standard deviation of the noise, grey levels
GRAIN_STEP = 16  # px by which the grain's window jumps from frame to frame
PLANET_RADIUS, STAR_RADIUS, ROCK_RADIUS = 84, 46, 46  # base px


@dataclass(frozen=True)
class Pose:
    """Where an object is: centre in base px, turn in radians, scale."""

    x: float
    y: float
    turn: float
    scale: float


@dataclass(frozen=True)
class Actor:
    """One object: its picture and its way."""

    label: int
    sprite: Array  # (S, S, 4) uint8, RGB times alpha, alpha
    radius: float  # base px, of the circle around it
    pose: Callable[[float], Pose]  # phase 0..2 pi -> pose


def planet_pose(t: float) -> Pose:
    return Pose(262 + 12 * sin(t), 215 + 8 * sin(2 * t), 0.3 * sin(t), 1 + 0.05 * sin(t))


def star_pose(t: float) -> Pose:
    # the third harmonic slows the star down while it is behind the planet: about 1 s out of sight
    return Pose(262 - 172 * cos(t) - 18 * cos(3 * t), 215 + 45 * cos(t), t, 1 - 0.06 * sin(2 * t))


def rock_pose(t: float) -> Pose:
    return Pose(530 - 155 * cos(t), 92 + 22 * sin(2 * t), -t, 1 + 0.08 * sin(t))


class DemoScene:
    """Pictures of moving objects whose true masks are known; the same for the same seed and index, in any order."""

    def __init__(
        self,
        size: tuple[int, int] = (BASE_H, BASE_W),
        fps: float = 25.0,
        frames: int = 250,
        seed: int = 0,
        code: bool = False,
    ) -> None:
        self.size = size  # (H, W)
        self.code = code  # each frame shows its number, as `nodes/capture/frame_code.py` draws it
        self.fps = fps
        self.frames = frames
        height, width = size
        self._stretch = (width / BASE_W, height / BASE_H)  # of the paths, x and y
        self._zoom = min(self._stretch)  # of the objects, which keep their shape
        rng = np.random.default_rng(seed)
        self._margin = max(2, round(SKY_MARGIN * width))
        sky_size = (height + 2 * self._margin, width + 2 * self._margin)
        self._sky = night_sky(rng, sky_size, self._zoom)
        self._actors = (  # in draw order: later ones hide earlier ones
            Actor(2, star(rng, self._sprite_side(STAR_RADIUS)), STAR_RADIUS, star_pose),
            Actor(1, planet(rng, self._sprite_side(PLANET_RADIUS)), PLANET_RADIUS, planet_pose),
            Actor(3, rock(rng, self._sprite_side(ROCK_RADIUS)), ROCK_RADIUS, rock_pose),
        )
        grain_size = (height + 8 * GRAIN_STEP, width + 8 * GRAIN_STEP, 3)
        self._grain = np.rint(rng.normal(0, GRAIN, grain_size)).astype(np.int16)

    def _sprite_side(self, radius: float) -> int:
        return max(16, round(2 * radius * self._zoom * SPRITE_DETAIL))

    def draw(self, index: int) -> tuple[Array, Array]:
        """rgb (H, W, 3) uint8 and truth (H, W) uint8 of frame `index`; truth names the object seen in each pixel."""
        t = tau * (index % PERIOD) / PERIOD
        rgb = self._draw_sky(t)
        truth = np.zeros(self.size, np.uint8)
        for actor in self._actors:
            self._draw_actor(actor, t, rgb, truth)
        grain_y, grain_x = (GRAIN_STEP * (index * k % 8) for k in (3, 5))
        grain = self._grain[grain_y : grain_y + self.size[0], grain_x : grain_x + self.size[1]]
        cv2.add(rgb, grain, dst=rgb, dtype=cv2.CV_8U)
        if self.code:
            draw_frame_code(rgb, index, truth)
        return rgb, truth

    def _draw_sky(self, t: float) -> Array:
        x, y = self._margin * (1 + 0.9 * sin(t)), self._margin * (1 + 0.6 * cos(t))
        pan = np.array([[1, 0, x], [0, 1, y]], np.float32)  # frame px -> sky px
        height, width = self.size
        rgb: Array = cv2.warpAffine(self._sky, pan, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return rgb

    def _draw_actor(self, actor: Actor, t: float, rgb: Array, truth: Array) -> None:
        """Blend the actor into `rgb` and `truth`, in its own corner of the frame only."""
        pose = actor.pose(t)
        x, y = pose.x * self._stretch[0], pose.y * self._stretch[1]
        radius = actor.radius * pose.scale * self._zoom
        left, top = max(0, int(x - radius) - 1), max(0, int(y - radius) - 1)
        right, bottom = min(self.size[1], int(x + radius) + 2), min(self.size[0], int(y + radius) + 2)
        if left >= right or top >= bottom:
            return
        side = actor.sprite.shape[0]
        scale = 2 * radius / side  # frame px per sprite px
        c, s, middle = scale * cos(pose.turn), scale * sin(pose.turn), (side - 1) / 2
        to_corner = np.array(
            [[c, -s, x - left - (c - s) * middle], [s, c, y - top - (s + c) * middle]], np.float32
        )  # sprite px -> px of the corner
        sprite = cv2.warpAffine(actor.sprite, to_corner, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
        alpha = sprite[..., 3]
        corner = rgb[top:bottom, left:right]
        behind = cv2.multiply(corner, cv2.cvtColor(255 - alpha, cv2.COLOR_GRAY2RGB), scale=1 / 255)
        corner[:] = cv2.add(behind, sprite[..., :3])
        truth[top:bottom, left:right][alpha >= 128] = actor.label

    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts on frame 0 in the three ways there are: clicks for object 1, a box for 2, a mask for 3."""
        truth = self.draw(0)[1]
        pose = planet_pose(0.0)
        x, y = pose.x * self._stretch[0], pose.y * self._stretch[1]
        reach = PLANET_RADIUS * pose.scale * self._zoom
        clicks = np.array([[0, 0], [-0.45, -0.35], [0.4, 0.4], [0, -1.15]]) * reach + (x, y)
        rows, columns = np.nonzero(truth == 2)
        box = (float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max()))
        return (
            Prompt(object_id=1, xy=clicks.astype(np.float32), labels=np.array([1, 1, 1, 0], np.uint8)),
            Prompt(object_id=2, box=box),
            Prompt(object_id=3, mask=(truth == 3).astype(np.uint8)),
        )
