"""A matcher without weights, for tests: keypoints are marked pixels, and equal colours are the same keypoint."""

from __future__ import annotations

import numpy as np

from nodes.tracker.matching.matcher import Keypoints, Matches

SIZE = (60, 80)  # px


class ColourMatcher:
    """Each pixel that is not black is a keypoint; it matches the one of its colour."""

    def __init__(self):
        self.detected = self.matched = 0

    def detect(self, rgb):
        self.detected += 1
        y, x = np.nonzero(rgb.any(axis=2))
        return Keypoints(np.stack([x, y], axis=1).astype(np.float32), rgb[y, x].astype(int), rgb.shape[:2])

    def match(self, before, after):
        self.matched += 1
        if not (len(before) and len(after)):
            nothing = np.zeros(0, np.int64)
            return Matches(nothing, nothing, np.zeros(0, np.float32))
        same = (before.looks[:, None] == after.looks[None]).all(axis=2)
        i, j = np.nonzero(same)
        return Matches(i, j, np.ones(len(i), np.float32))


def picture(shift=(0, 0), size=SIZE, without=()):
    """(H, W, 3): a grid of 24 keypoints, those of the middle (an object) moved by `shift` px (x, y)."""
    rgb = np.zeros((*size, 3), np.uint8)
    for number, (x, y) in enumerate(grid()):
        if number in without:
            continue
        dx, dy = shift if number in OBJECT else (0, 0)
        if 0 <= x + dx < size[1] and 0 <= y + dy < size[0]:
            rgb[y + dy, x + dx] = (10 * number + 1, 7, 9)
    rgb.flags.writeable = False
    return rgb


def grid():
    return [(10 + 12 * column, 8 + 12 * row) for row in range(4) for column in range(6)]


OBJECT = (8, 9, 14, 15)  # at 34..46, 20..32


def mask(size=SIZE):
    """(H, W): round the object on the picture that has not moved."""
    drawn = np.zeros(size, np.uint8)
    drawn[18:35, 32:49] = 1
    return drawn
