"""A true mask in, the prompt that is made of it out: the mask itself, its tight box, or clicks."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nodes.tracker.sampling.query_points import draw_negatives, draw_positives
from stream.arrays import Array
from stream.crops import crop_mask
from stream.messages import Prompt
from tools.paper_settings import NEGATIVES, POSITIVES, SEED

PromptKind = Literal["mask", "box", "points"]
KINDS: tuple[PromptKind, ...] = ("mask", "box", "points")


def make_prompt(kind: PromptKind, object_id: int, mask: Array, rgb: Array) -> Prompt:
    """The prompt for an object whose true mask, (H, W) nonzero inside, is not empty; `rgb` is its frame."""
    if kind == "mask":
        return Prompt(object_id=object_id, mask=(mask != 0).astype(np.uint8))
    if kind == "box":
        return Prompt(object_id=object_id, box=tight_box(mask))
    rng = np.random.default_rng([SEED, object_id])  # as SAM-PT draws its points, whatever the other objects are
    positives = draw_positives(mask, POSITIVES, rng)
    negatives = draw_negatives(mask, rgb, NEGATIVES, rng)
    labels = np.repeat(np.array([1, 0], np.uint8), [len(positives), len(negatives)])
    return Prompt(object_id=object_id, xy=np.concatenate([positives, negatives]), labels=labels)


def make_clicks(object_id: int, mask: Array, count: int) -> Prompt:
    """Positive clicks alone: the medoids of `count` clusters of a true mask's pixels; one click is its very medoid."""
    xy = draw_positives(mask, count, np.random.default_rng([SEED, object_id]))
    return Prompt(object_id=object_id, xy=xy, labels=np.ones(len(xy), np.uint8))


def tight_box(mask: Array) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of the mask's outermost pixels; never without an extent, as one pixel would be."""
    (x, y, width, height), _ = crop_mask(mask)
    return float(x), float(y), float(x + max(width - 1, 1)), float(y + max(height - 1, 1))
