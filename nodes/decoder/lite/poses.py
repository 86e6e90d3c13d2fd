"""Poses: similarities as (2, 3) matrices, from an object's own coordinates to frame px; and how they change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from stream.arrays import Array

MOTION_RATE = 0.25  # of the smoothed motion, a frame


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
