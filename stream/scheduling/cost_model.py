"""Measured batches in, what a batch of b units costs out: a + c * b seconds, fitted while it runs.

Durations lie: the first run loads kernels, a machine pauses. So each size counts by the median of its newest durations,
and the line is fitted to these medians.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

NEWEST = 9  # durations of a size that count
ENOUGH = 3  # durations of a size, for a median that one bad one does not decide
MOST_SIZES = 24  # that are kept: the size that was measured longest ago gives way
SETTLED = 64  # batches after which the line is fitted every eighth time only
LEAST_SAVING = 0.05  # of the time of two batches: what a common one has to save


class CostModel:
    """What batches of one group cost; `given`: (a, c) of an earlier measurement, which new ones correct."""

    def __init__(self, given: tuple[float, float] | None = None) -> None:
        self.fixed_s, self.unit_s = given or (0.0, 0.0)  # a, c
        self.batches = 0  # measured
        self._sizes: dict[int, deque[float]] = {}  # by units, the size that was measured last at the end
        self._given = given

    @property
    def is_measured(self) -> bool:
        """Whether anything says what a batch costs."""
        return self._given is not None or bool(self._sizes)

    @property
    def has_slope(self) -> bool:
        """Whether two sizes have been measured well enough to tell a and c from each other."""
        return self._given is not None or sum(len(durations) >= ENOUGH for durations in self._sizes.values()) > 1

    def samples(self, units: int) -> int:
        """How many durations of batches of that size count."""
        return len(self._sizes.get(units, ()))

    def add(self, units: int, cost_s: float) -> None:
        """A batch of so many units has cost so much."""
        durations = self._sizes.pop(units, None) or deque(maxlen=NEWEST)
        durations.append(cost_s)
        self._sizes[units] = durations
        if len(self._sizes) > MOST_SIZES:
            del self._sizes[next(iter(self._sizes))]
        self.batches += 1
        if self.batches < SETTLED or self.batches % 8 == 0:
            self._fit()

    def estimate_s(self, units: int) -> float:
        """What a batch costs; 0 while nothing has been measured."""
        return self.fixed_s + self.unit_s * units

    def pays(self, units: int, more: int) -> bool:
        """Whether one batch of `units` + `more` saves time beside two of them; False while that is not known.

        Where cost is proportional to units, as on most CPUs, a common batch only makes its first member wait.
        """
        if not self.has_slope:
            return False
        apart_s = self.estimate_s(units) + self.estimate_s(more)
        return apart_s - self.estimate_s(units + more) >= LEAST_SAVING * apart_s

    def _fit(self) -> None:
        sizes = [(units, median(durations), len(durations)) for units, durations in self._sizes.items()]
        if self._given is not None and len(sizes) == 1:  # one size says how fast the machine is, and no more
            [(units, seconds, _)] = sizes
            fixed_s, unit_s = self._given
            speed = seconds / (fixed_s + unit_s * units)
            self.fixed_s, self.unit_s = speed * fixed_s, speed * unit_s
        else:
            self.fixed_s, self.unit_s = fit_line(sizes)


def fit_line(sizes: Sequence[tuple[int, float, int]]) -> tuple[float, float]:
    """(a, c), neither negative, of (units, seconds, weight); of one size alone, all of it is taken for c.

    Seconds are weighted by their inverse, so that an error counts by its share of the cost.
    """
    if not sizes:
        return 0.0, 0.0
    w_sum = wx = wy = wxx = wxy = 0.0
    for units, seconds, count in sizes:
        weight = count / max(seconds, 1e-9) ** 2
        w_sum += weight
        wx += weight * units
        wy += weight * seconds
        wxx += weight * units * units
        wxy += weight * units * seconds
    spread = w_sum * wxx - wx * wx
    proportional = wxy / wxx
    if spread <= 1e-9 * w_sum * wxx:
        return 0.0, proportional
    unit_s = (w_sum * wxy - wx * wy) / spread
    fixed_s = (wy - unit_s * wx) / w_sum
    if unit_s <= 0:
        return wy / w_sum, 0.0
    return (fixed_s, unit_s) if fixed_s > 0 else (0.0, proportional)
