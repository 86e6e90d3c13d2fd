"""A random generator in, a jointed body out: parts with a surface each, and how they move in time.

A part is drawn in its own square, -1..1 in x and y. Its surface may roll about the part's own axis, as on a trunk that
turns: what was behind comes into view. Its outline may sway. A pose carries the square to the body, the body to the
world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from stream.arrays import Array
from tools.clips.curves import Curve
from tools.clips.textures import Rng, blob, surface

MAX_SPRITE = 300  # px
FACES = tuple((n, side, *axes) for n, axes in enumerate(((2, 1), (0, 2), (0, 1))) for side in (-1, 1))  # of a box


@dataclass
class Part:
    """One piece of a body. Lengths in body px, angles in radians."""

    half: tuple[float, float]  # half sizes in x and y
    outline: Array  # (s, s) float32 0..1 over the square
    cloth: Array  # (ch, cw, 3) uint8 surface, about twice as wide as the part
    shade: Array  # (s, s, 1) float32, light that stays while the surface rolls
    parent: int = -1  # index of the part that it hangs on; -1: the body
    at: tuple[float, float] = (0.0, 0.0)  # where on the parent, body px from its middle
    joint: tuple[float, float] = (0.0, 0.0)  # which point of its own is there, body px from its middle
    turn: Curve = field(default=lambda t: 0.0)
    roll: Curve | None = None  # radians
    sway: tuple[float, float, float] = (0.0, 0.0, 0.0)  # amplitude (of the half size), waves along y, radians a frame
    depth: Curve = field(default=lambda t: 0.0)  # smaller: drawn first
    _fixed_sprite: Array | None = None

    def sprite(self, t: float) -> Array:
        """(s, s, 4) float32: RGB times alpha, alpha 0..1."""
        if self._fixed_sprite is not None:
            return self._fixed_sprite
        s = self.outline.shape[0]
        y, x = np.mgrid[-1 : 1 : s * 1j, -1 : 1 : s * 1j].astype(np.float32)
        x += self._shear(y, t)
        around = np.arcsin(np.clip(x, -1, 1)) + np.float32(self.roll(t)) if self.roll else x
        ch, cw = self.cloth.shape[:2]
        scale = cw / (2 * np.pi) if self.roll else cw / 2
        mode = cv2.BORDER_REFLECT_101
        colour = cv2.remap(
            self.cloth,
            around * np.float32(scale) + np.float32(cw / 2),
            (y + 1) * np.float32(ch / 2),
            1,
            borderMode=mode,
        )
        alpha = self.outline
        if self.sway[0]:
            alpha = cv2.remap(alpha, (x + 1) * np.float32((s - 1) / 2), (y + 1) * np.float32((s - 1) / 2), 1)
        out = np.dstack([colour.astype(np.float32) * self.shade * alpha[..., None], alpha])
        if not self.roll and not self.sway[0]:
            self._fixed_sprite = out
        return np.asarray(out)

    def place(self, points: Array, t: float) -> tuple[Array, Array]:
        """Surface points (N, 2: radians or -1..1, then -1..1) in the square (N, 2), and whether they face us."""
        x, facing = points[:, 0], np.ones(len(points), bool)
        if self.roll:
            angle = (x - self.roll(t) + np.pi) % (2 * np.pi) - np.pi
            facing, x = np.abs(angle) < 1.4, np.sin(np.clip(angle, -np.pi / 2, np.pi / 2))
        return np.stack([x - self._shear(points[:, 1], t), points[:, 1]], axis=1), facing

    def _shear(self, y: Array, t: float) -> Array:
        size, waves, speed = self.sway
        return np.asarray(size * np.sin(2 * np.pi * waves * y + speed * t), np.float32)


@dataclass
class JointedBody:
    """Parts, parents before children, and the size of the whole."""

    parts: list[Part]
    height: float  # body px

    def poses(self, t: float) -> list[Array]:
        """Per part a (2, 3) map from its square (-1..1) to body px."""
        joints: list[Array] = []
        out = []
        for part in self.parts:
            angle = part.turn(t)
            c, s = np.cos(angle), np.sin(angle)
            own = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
            own[:2, 2] = np.array(part.at) - own[:2, :2] @ np.array(part.joint)
            if part.parent >= 0:
                own = joints[part.parent] @ own
            joints.append(own)
            out.append((own @ np.diag([*part.half, 1.0]))[:2])
        return out


@dataclass
class TurningBox(JointedBody):
    """A box whose six faces are its parts, as it turns in three dimensions: one after another comes into view."""

    half: tuple[float, float, float]  # body px
    yaw: Curve  # radians
    pitch: Curve

    def poses(self, t: float) -> list[Array]:
        """Per face a (2, 3) map from its square (-1..1) to body px."""
        turned = self.rotation(t) * np.array(self.half)  # columns: the half axes, seen from the front
        return [np.stack([turned[:2, u], turned[:2, v], side * turned[:2, n]], axis=1) for n, side, u, v in FACES]

    def rotation(self, t: float) -> Array:
        """(3, 3): of body coordinates; z points to the camera."""
        (a, b), (c, d) = ((np.cos(angle), np.sin(angle)) for angle in (self.yaw(t), self.pitch(t)))
        return np.asarray(np.array([[1, 0, 0], [0, c, -d], [0, d, c]]) @ np.array([[a, 0, b], [0, 1, 0], [-b, 0, a]]))

    def depth_of(self, face: int) -> Curve:
        """How near to the camera the middle of a face is."""
        n, side, _, _ = FACES[face]
        return lambda t: float(side * self.rotation(t)[2, n] * self.half[n])


class PartsBuilder:
    """Makes the parts of one body, with `detail` sprite px a body px."""

    def __init__(self, rng: Rng, detail: float, parts: Sequence[Part] = ()) -> None:
        self.rng, self.detail = rng, detail
        self.parts = list(parts)  # parents before children

    def add(self, half: tuple[float, float], shape: str, colours: Array, **options: Any) -> int:
        """Make a part, `options` as the fields of `Part` have them; its index."""
        self.parts.append(make_part(self.rng, half, shape, colours, self.detail, **options))
        return len(self.parts) - 1


def make_part(rng: Rng, half: tuple[float, float], shape: str, colours: Array, detail: float, **options: Any) -> Part:
    """A part with a random surface; shape: round, box, drop, rough or pole. `options`: fields of `Part`."""
    side = int(np.clip(2 * max(half) * detail, 12, MAX_SPRITE))
    outline = _outline(rng, side, shape, half)
    rolls = "roll" in options
    cloth_size = (
        int(np.clip(2 * half[1] * detail, 8, 400)),
        int(np.clip((3.2 if rolls else 1) * 2 * half[0] * detail, 8, 500)),
    )
    cloth = surface(rng, cloth_size, colours)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    lean, depth = rng.uniform(-0.5, 0.5), rng.uniform(0, 0.55)
    shade = 1 - depth * np.clip((x - lean) ** 2 * rng.uniform(0, 1) + (y + 0.5) * rng.uniform(0, 0.8), -0.2, 1)
    return Part(half, outline, cloth, shade[..., None].astype(np.float32), **options)


def _outline(rng: Rng, side: int, shape: str, half: tuple[float, float]) -> Array:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    if shape == "rough":
        inside = blob(rng, (side, side), rng.uniform(0.15, 0.7))
    elif shape == "drop":
        inside = np.abs(x) < np.sqrt(np.clip(1 - y * y, 0, 1)) * (0.72 + 0.28 * y * rng.choice([-1, 1]))
    else:
        power = {"round": 2.0, "box": 8.0, "pole": 6.0}[shape] * rng.uniform(0.8, 1.6)
        inside = np.abs(x) ** power + np.abs(y) ** power < 1
    inside[[0, -1]] = inside[:, [0, -1]] = False
    return np.asarray(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.6))
