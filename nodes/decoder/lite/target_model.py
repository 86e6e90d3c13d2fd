"""What an object looks like beside its surroundings: a model that is fitted, while the feed runs, to its own masks.

A pixel's own colour is often that of the background, too. Here a pixel is described by what is around it: colours
averaged over several sizes, and how strong its texture is and which way it runs. Random rectified sums of these
(Rahimi and Recht, 2007) are weighed by ridge regression to +1 on the object and -1 beside it. What is summed up of the
first frame is kept, that of later ones fades: both are solved together, in closed form. So it is the target model of
FRTM (Robinson et al., CVPR 2020) on features that need no weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nodes.decoder.lite import kernels
from nodes.decoder.lite.view import View
from stream.arrays import Array

COLOUR_SIDES = (3, 5, 9)  # working px, of the boxes that colours are averaged over; the colours themselves come first
SLOPE_SIDES = (3, 5, 11)  # of those that slopes of the first of these averages are averaged over
SLOPE_SCALES = (0.4, 0.6, 1.0)  # of a slope in grey levels: a smoother picture has gentler ones
SLOPE_FLOOR = 3.2  # grey levels a px: below it, a slope has no direction
FEATURES = 3 * (1 + len(COLOUR_SIDES) + len(SLOPE_SIDES))
SUMS = 96  # random rectified sums of the features
SPREAD_FLOOR = (1.6, 3.2)  # grey levels: colours and slopes are taken as spread at least so far
PENALTY = 0.01  # of the ridge, where the weights of all pixels add up to 1
FIRST_SHARE = 0.5  # of the first frame in the fit
RECENT_RATE = 0.05  # of what later frames add, a frame
EVERY_PX = 7  # of a view, one pixel is fitted to
SURE_PROBABILITY = 0.6  # a mask that nowhere is as sure tells nothing
RELIABILITY_RATE = 0.5  # of the last frame that it was checked on
GAIN = 2.5  # of its answer as a logit, where it is reliable
# The most that it may say: what looks like the object may be another, what does not is hardly ever a part of it.
MOST_FOR, MOST_AGAINST = 0.6, 2.0
MISSING_GAIN, MOST_FOR_MISSING = 2.0, 3.0  # times GAIN, and the most for a pixel, where a part of it is missing


def _draw_sums() -> tuple[Array, Array]:
    """(SUMS, FEATURES) and (SUMS,) float32: the random sums, of features of mean 0 and deviation 1."""
    random = np.random.RandomState(0)  # its numbers are the same in all versions of NumPy
    weights = random.normal(0, 2 / np.sqrt(FEATURES), (SUMS, FEATURES))
    return weights.astype(np.float32), random.uniform(-np.pi, np.pi, SUMS).astype(np.float32)


WEIGHTS, BIAS = _draw_sums()


@dataclass(frozen=True)
class Moments:
    """Of the rectified sums of a view and one constant: what ridge regression needs to know."""

    products: Array  # (SUMS + 1, SUMS + 1) float32
    answers: Array  # (SUMS + 1,) float32

    @classmethod
    def of(cls, sums: Array, answers: Array, counts: Array) -> Moments:
        """Those of a sample."""
        counted = sums * counts
        return cls(counted @ sums.T, counted @ answers)

    def blended(self, other: Moments, share: float) -> Moments:
        """With a share of another's."""
        products = self.products + np.float32(share) * (other.products - self.products)
        return Moments(products, self.answers + np.float32(share) * (other.answers - self.answers))

    def solve(self) -> Array:
        """(SUMS + 1,) float32: the shares of the sums, and the constant."""
        penalised = self.products + PENALTY * np.eye(SUMS + 1, dtype=np.float32)
        return np.asarray(np.linalg.solve(penalised, self.answers), np.float32)


class TargetModel:
    """Of one object."""

    def __init__(self, view: View, soft_mask: Array) -> None:
        """Fit it to the first frame: a view, and the probabilities (h, w) of its pixels."""
        features = describe(view.lab)
        floor = np.repeat(np.array(SPREAD_FLOOR, np.float32), [3 * (1 + len(COLOUR_SIDES)), 3 * len(SLOPE_SIDES)])
        scale = 1 / (features.std(axis=1) + floor)
        self._weights = np.ascontiguousarray(WEIGHTS * scale)
        self._bias = BIAS - self._weights @ features.mean(axis=1)
        self._first = self._recent = Moments.of(*self._sample(features, soft_mask))
        self._shares = self._first.solve()
        self._reliability = self._check(*self._sample(features, soft_mask, EVERY_PX // 2))

    def __call__(self, view: View, missing: float = 0.0) -> Array:
        """(h, w) float32: the logits of a view's pixels, from -MOST_AGAINST to MOST_FOR.

        `missing`: 0 where all of the object is in sight, up to 1 where a part is not. What looks like it is likely to
        be that part, so up to MOST_FOR_MISSING is said for it.
        """
        out = np.empty(view.base.size, np.float32)
        shares, offset = self._shares[:-1], self._shares[-1]
        kernels.weigh_rectified(describe(view.lab), self._weights, self._bias, shares, offset, out)
        gain, most = 1 + missing * (MISSING_GAIN - 1), MOST_FOR + missing * (MOST_FOR_MISSING - MOST_FOR)
        answers = np.clip(np.float32(GAIN * self._reliability) * out, -MOST_AGAINST, most / gain)
        if missing:
            answers[answers > 0] *= np.float32(gain)
        return np.asarray(answers.reshape(view.size))

    def adapt(self, view: View, soft_mask: Array, frames: int = 1) -> None:
        """Adapt it to a frame on which the object was seen clearly; it stands for so many."""
        if soft_mask.max() < SURE_PROBABILITY:
            return
        sample = self._sample(describe(view.lab), soft_mask)
        self._reliability += RELIABILITY_RATE * (self._check(*sample) - self._reliability)
        self._recent = self._recent.blended(Moments.of(*sample), 1 - (1 - RECENT_RATE) ** frames)
        self._shares = self._recent.blended(self._first, FIRST_SHARE).solve()

    def _sample(self, features: Array, soft_mask: Array, first: int = 0) -> tuple[Array, Array, Array]:
        """Of every few pixels from one on: sums (SUMS + 1, k), +-1 (k,), and how much each counts (k,), 1 in all.

        Unsure pixels count less; object and surroundings count the same.
        """
        answers = 2 * soft_mask.reshape(-1)[first::EVERY_PX] - 1
        sums = np.ones((SUMS + 1, answers.size), np.float32)
        np.maximum(self._weights @ features[:, first::EVERY_PX] + self._bias[:, None], 0, out=sums[:-1])
        counts = np.abs(answers)
        for side in (answers > 0, answers <= 0):
            counts[side] *= 0.5 / max(counts[side].sum(), 1e-6)
        return sums, np.sign(answers), counts

    def _check(self, sums: Array, answers: Array, counts: Array) -> float:
        """How well the model answers what it was not fitted to: 1 always right, 0 by chance or worse."""
        return max(0.0, float(((self._shares @ sums).clip(-1, 1) * answers) @ counts))


def describe(lab: Array) -> Array:
    """(FEATURES, n) float32 of an (h, w, 3) uint8 Lab image: colours at several sizes; slopes along and across."""
    out = np.empty((FEATURES, *lab.shape[:2]), np.float32)
    out[:3] = lab.transpose(2, 0, 1)
    for i, side in enumerate(COLOUR_SIDES, start=1):
        for k in range(3):
            _average(out[k], side, out[3 * i + k])
    for i, side in enumerate(SLOPE_SIDES):
        light, row = out[3 * i], 3 * (1 + len(COLOUR_SIDES) + i)
        x, y = (cv2.Sobel(light, cv2.CV_32F, dx, 1 - dx, scale=SLOPE_SCALES[i]) for dx in (1, 0))
        length = np.sqrt(x * x + y * y)  # cv2.magnitude rounds by where its arrays lie in memory
        over = 1 / (length + SLOPE_FLOOR)
        for k, plane in enumerate((length, (x * x - y * y) * over, 2 * x * y * over)):
            _average(plane, side, out[row + k])
    return out.reshape(FEATURES, -1)


def _average(plane: Array, side: int, out: Array) -> None:
    """Fill `out` (h, w) with means of a plane over two boxes of a side, one after the other."""
    cv2.blur(cv2.blur(plane, (side, side)), (side, side), dst=out)
