"""Poses: similarities as (2, 3) matrices, from an object's own coordinates to frame px."""

from __future__ import annotations

import numpy as np

from stream.arrays import Array


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
