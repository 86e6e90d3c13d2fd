"""Poses: similarities as (2, 3) matrices, from an object's own coordinates to frame px; and how they change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nodes.decoder.lite.frame_analysis import clip_window, move_window
from nodes.decoder.mask_model import Window
from stream import geometry
from stream.arrays import Array

MOTION_RATE = 0.25  # of the smoothed motion, a frame
GROWTH_RATE = 0.001  # of an object's area against that of its pose, a frame: poses drift, and objects turn


@dataclass(frozen=True)
class SmoothedMotion:
    """How an object moves a frame: what it is expected to go on doing while it is out of sight."""

    shift: Array = field(default_factory=lambda: np.zeros(2))  # of its middle, px
    rotation: float = 0.0  # radians
    rigid: bool = False  # `rotation` was measured between two templates: dense flow does not change it

    def blended(self, shift: Array, rotation: float, rate: float = MOTION_RATE) -> SmoothedMotion:
        """With one frame's motion blended in."""
        smoothed = self.shift + rate * (shift - self.shift)
        if self.rigid:
            return replace(self, shift=smoothed)
        return replace(self, shift=smoothed, rotation=self.rotation + rate * (rotation - self.rotation))


@dataclass(frozen=True)
class Expectation:
    """Of an object in a frame."""

    window: Window  # where all of it should be, as far as that is in the frame
    in_frame: float  # share of that place which is
    in_sight: float  # what was in sight, as a share of what should be: more than 1 where it has grown


@dataclass(frozen=True)
class Place:
    """Where all of an object should be at a pose, and how much of the frame it should cover."""

    first_box: Window  # around it on the first frame: its own px
    first_area: float  # px
    growth: float = 1.0  # its area when nothing hides it, smoothed, as a share of what its pose makes of the first one

    def middle(self, pose: Array) -> Array:
        """(2,) frame px: of its box."""
        x, y, width, height = self.first_box
        return np.asarray(geometry.apply(pose, np.array([[x + (width - 1) / 2, y + (height - 1) / 2]]))[0])

    def box(self, pose: Array) -> Window:
        """Frame px."""
        grown = similarity_about(self.middle(pose), 0.0, self.growth**0.5, np.zeros(2))
        return move_window(self.first_box, geometry.compose(grown, pose))

    def area(self, pose: Array) -> float:
        """Px, 1 at least."""
        return max(self.growth * self.first_area * geometry.scale_of(pose) ** 2, 1.0)

    def expect(self, pose: Array, visible_px: float, size: geometry.Size) -> Expectation:
        """What should be in a frame (H, W), and how much of it that is which was in sight."""
        box = self.box(pose)
        window = clip_window(box, size)
        in_frame = window[2] * window[3] / max(box[2] * box[3], 1)
        return Expectation(window, in_frame, visible_px / max(in_frame * self.area(pose), 1.0))

    def grown(self, pose: Array, area: float, rate: float) -> Place:
        """With the area, px, that it has at a pose blended in."""
        growth = area / max(self.first_area * geometry.scale_of(pose) ** 2, 1.0)
        return replace(self, growth=self.growth + rate * (growth - self.growth))


def angle_of(pose: Array) -> float:
    """How far it rotates, radians."""
    return float(np.arctan2(pose[1, 0], pose[0, 0]))


def angle_between(one: Array, two: Array) -> float:
    """How much further the second rotates, radians, -pi..pi."""
    return float((angle_of(two) - angle_of(one) + np.pi) % (2 * np.pi) - np.pi)


def similarity_about(centre: Array, angle: float, scale: float, shift: Array) -> Array:
    """Rotate and scale about a point, then shift."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, centre - linear @ centre + shift])
