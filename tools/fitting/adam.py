"""Adam in numpy: gradients in, the changes that a rate is multiplied with out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.arrays import Array

FIRST_STEP, SECOND_STEP, SMALL = 0.1, 0.001, 1e-8  # how much of a new gradient the moments take over


class Adam:
    """The moments of some parameters' gradients (Kingma and Ba, 2015)."""

    def __init__(self, parameters: Sequence[Array]) -> None:
        self._first, self._second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
        self._steps = 0

    def changes(self, gradients: Sequence[Array]) -> list[Array]:
        """How far each parameter is to go down, of a rate of 1."""
        self._steps += 1
        out = []
        for k, g in enumerate(gradients):
            self._first[k] += FIRST_STEP * (g - self._first[k])
            self._second[k] += SECOND_STEP * (g * g - self._second[k])
            spread = np.sqrt(self._second[k] / (1 - (1 - SECOND_STEP) ** self._steps)) + SMALL
            out.append(self._first[k] / (1 - (1 - FIRST_STEP) ** self._steps) / spread)
        return out
