"""Small things that the tests of PIPS share: its random weights, drawn clips, query points."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from nodes.tracker.pips.network import Pips
from nodes.tracker.point_model import Points
from tools.goldens.weights import pips_weights

SIZE = (64, 96)  # px: nearly the smallest frame there is


@functools.cache
def network(stride: int = 4, seed: int = 0) -> Pips:
    """PIPS with the deterministic random weights: its tracks mean nothing, its mechanics are all there."""
    pips = Pips(stride)
    pips.load_state_dict(pips_weights(seed))
    return pips


def clip(frames: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """A smooth texture that moves by (3, 1) px a frame, read-only as frames are on arrival."""
    noise = np.random.default_rng(3).integers(0, 256, (size[0] + 40, size[1] + 80, 3), np.uint8)
    texture = cv2.GaussianBlur(noise, (9, 9), 2.0)
    drawn = []
    for i in range(frames):
        y, x = 20 - i, 40 - 3 * i
        drawn.append(np.ascontiguousarray(texture[y : y + size[0], x : x + size[1]]))
        drawn[-1].flags.writeable = False
    return drawn


def textured(frames: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """As `clip`, of a texture with corners: squares of 4 px, a little blurred."""
    noise = np.random.default_rng(3).integers(0, 256, ((size[0] + 44) // 4, (size[1] + 84) // 4, 3), np.uint8)
    squares = cv2.resize(noise, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    texture = cv2.GaussianBlur(squares, (0, 0), 1.0)
    drawn = []
    for i in range(frames):
        drawn.append(np.ascontiguousarray(texture[20 - i : 20 - i + size[0], 40 - 3 * i : 40 - 3 * i + size[1]]))
        drawn[-1].flags.writeable = False
    return drawn


def query(model, features, xy) -> Points:
    """Points (N, 2) as the tracker draws them."""
    xy = np.array(xy, np.float32).reshape(-1, 2)
    n = len(xy)
    return Points(xy, np.ones(n, np.uint8), np.ones(n, np.int32), model.describe(features, xy))
