"""A random generator in, curves out: values that change from frame to frame, as angles, sizes and positions do."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from stream.arrays import Array
from tools.clips.textures import Rng

Curve = Callable[[float], float]  # frame -> value


def swing(rng: Rng, mean: float, reach: float, period: float) -> Curve:
    """An angle that swings about a mean."""
    phase, drift = rng.uniform(0, 2 * np.pi), rng.uniform(0, reach / 3)
    return lambda t: mean + reach * np.sin(2 * np.pi * t / period + phase) + drift * np.sin(t / period + phase)


def rolling(rng: Rng) -> Curve:
    """A slow turn about the long axis, to and fro or round and round."""
    if rng.random() < 0.5:
        return swing(rng, 0, rng.uniform(0.2, 1.2), rng.uniform(20, 80))
    speed = rng.normal(0, 0.05)
    return lambda t: speed * t


def wander(rng: Rng, reach: float, period: float) -> Curve:
    """A smooth aimless curve around 0, `reach` large, that turns about once in `period` frames; 0 at frame 0."""
    waves = [
        (reach * rng.normal() / (k + 1), 2 * np.pi * (k + 1) * rng.uniform(0.5, 1.2) / period, rng.uniform(0, 6.3))
        for k in range(3)
    ]
    return lambda t: float(sum(a * (np.sin(w * t + p) - np.sin(p)) for a, w, p in waves))


def shake(rng: Rng, reach: float, frames: int) -> Array:
    """(frames + 2, 2) px of a hand that trembles: filtered noise."""
    steps = rng.normal(0, reach, (frames + 8, 2))
    return np.asarray(cv2.blur(steps, (1, 3))[3 : frames + 5])
