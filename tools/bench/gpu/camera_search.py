"""What each camera got for some seconds in, how evenly, and how many cameras a device carries out: no run is needed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stream.scheduling.fair_shares import jain_index

LEAST_SHARE = 0.95  # of the cameras' rate, that counts as carried


@dataclass(frozen=True)
class Step:
    """So many cameras at once, for so many seconds."""

    seconds: float
    decoded: tuple[int, ...]  # by camera: frames whose masks were decoded
    published: tuple[int, ...]  # by camera: frames with masks, those that were carried by points as well
    ages_ms: tuple[float, ...]  # of the decoded masks of all cameras, capture to publish

    @property
    def cameras(self) -> int:
        """How many there were."""
        return len(self.decoded)

    @property
    def rate_hz(self) -> float:
        """Decoded masks a second and camera, on average."""
        return sum(self.decoded) / self.seconds / self.cameras

    @property
    def slowest_hz(self) -> float:
        """Those of the camera with the fewest."""
        return min(self.decoded) / self.seconds

    @property
    def published_hz(self) -> float:
        """Masks a second and camera, decoded or carried."""
        return sum(self.published) / self.seconds / self.cameras

    @property
    def jain_index(self) -> float:
        """How even the cameras' rates are: 1 where all are equal."""
        return jain_index(self.decoded)

    @property
    def age_p95_ms(self) -> float | None:
        """Of decoded masks; None where there are none."""
        return float(np.percentile(self.ages_ms, 95)) if self.ages_ms else None


def next_count(carried: int, failed: int | None, most: int) -> int | None:
    """How many cameras are tried next: twice as many, then between; None where that is known well enough.

    `carried`: the most that were carried, 0 at first; `failed`: the fewest that were not.
    """
    if failed is None:
        doubled = 2 * carried or 1
        return doubled if doubled <= most else None
    if failed - carried <= max(1, carried // 4):
        return None
    return (carried + failed) // 2


def search(
    take: Callable[[int], Step], fps: float, most: int, most_s: float, clock: Callable[[], float] = time.monotonic
) -> tuple[int, Sequence[Step]]:
    """The most cameras that were carried, and every step that was tried.

    None is begun `most_s` after the first, which loads and compiles the models.
    """
    steps: list[Step] = []
    carried, failed, ends_s = 0, None, math.inf
    while clock() < ends_s and (count := next_count(carried, failed, most)) is not None:
        step = take(count)
        steps.append(step)
        if step.rate_hz >= LEAST_SHARE * fps:
            carried = count
        else:
            failed = count
        ends_s = min(ends_s, clock() + most_s)
    return carried, steps
