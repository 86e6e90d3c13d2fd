"""What a matcher is: the protocol that SuperGlue, LightGlue or a four-line fake stand behind, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stream.arrays import Array

Looks = Any  # what keypoints look like, as their matcher wants it


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The keypoints of a picture."""

    xy: Array  # (K, 2) float32, px of the picture that was seen
    looks: Looks
    size: tuple[int, int]  # (H, W) of that picture, px

    def __len__(self) -> int:
        return len(self.xy)


@dataclass(frozen=True)
class Matches:
    """The M keypoints that two pictures have in common, in the order of the first one's."""

    before: Array  # (M,) int64, of the first picture's keypoints
    after: Array  # (M,) int64, of the second's
    scores: Array  # (M,) float32, 0 to 1


NO_MATCHES = Matches(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


class Matcher(Protocol):
    """Finds keypoints in pictures, and those that two pictures have in common."""

    def detect(self, rgb: Array) -> Keypoints:
        """The keypoints of a picture (H, W, 3) uint8."""

    def match(self, before: Keypoints, after: Keypoints) -> Matches:
        """Which keypoints of two pictures are the same."""
