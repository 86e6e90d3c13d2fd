"""Single clicks on drawn objects in, the weights that choose between their masks out.

Every mask that a click may mean is cut out by the live code, and has an IoU with the true mask. Scores are linear in
the masks' measures and their squares; the weights make the IoU of what is chosen as high as they can, where one is
chosen at random with probabilities that grow with the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from nodes.decoder.lite.prompts.click_choice import (
    MEASURES,
    ChoiceWeights,
    measure_masks,
    spread_measures,
)
from nodes.decoder.lite.prompts.click_masks import ONE_CLICK_OFFSETS, look_at_sizes
from nodes.decoder.lite.window_network import WindowNetwork
from stream.arrays import Array
from tools.clips.clip import draw_clip
from tools.clips.layered_scene import Variety
from tools.evaluation.first_prompts import make_clicks
from tools.evaluation.measures import region_similarity
from tools.fitting.adam import Adam
from tools.fitting.click_data import click_inside
from tools.fitting.roll_outs import SIZES, startable_objects

DEPTH = 0.7  # of the greatest one: where the click lies that is not in the middle
STEPS, RATE, DECAY = 600, 0.02, 0.001  # of Adam
POSITIVE = np.ones(1, np.uint8)  # the label of a click on an object


@dataclass(frozen=True)
class OneClick:
    """What one click may mean: the measures of N masks (N, C), and their IoU (N,) with the true one."""

    measures: Array
    ious: Array


def draw_choices(seed: int, variety: Variety, network: Path) -> list[OneClick]:
    """Two clicks on each object of a drawn picture: on its middle, and somewhere deep in it."""
    clip = draw_clip(seed, SIZES.get(seed % 16, (480, 854)), 1, variety)
    (rgb,), (labels,), rng = clip.frames, clip.labels, np.random.default_rng([seed, 3])
    choices = []
    for label in startable_objects(clip):
        truth = (labels == label).astype(np.uint8)
        middle = make_clicks(label, truth, 1).xy
        assert middle is not None, "clicks have positions"
        for xy in (middle, click_inside(truth, 1, DEPTH, rng)):
            looks, masks = look_at_sizes(rgb, xy, POSITIVE, None, _load(network))
            measures = measure_masks(rgb, xy[0], masks)
            if measures is not None:
                crops = [clicked.crop for clicked, _ in looks for _ in ONE_CLICK_OFFSETS]
                whole = [crop.mask_to_frame(m.mask) > 0 for crop, m in zip(crops, masks, strict=True)]
                ious = np.array([region_similarity(truth > 0, mask) for mask in whole], np.float32)
                choices.append(OneClick(measures, ious))
    return choices


def fit_choice(choices: Sequence[OneClick]) -> ChoiceWeights:
    """The weights; the same whenever they are fitted."""
    measures, ious = (np.stack([getattr(c, name) for c in choices]).astype(np.float64) for name in ("measures", "ious"))
    flat = measures.reshape(-1, len(MEASURES))
    mean, spread = flat.mean(axis=0), flat.std(axis=0) + 1e-6
    inputs, weights = spread_measures(measures, mean, spread), np.zeros(2 * len(MEASURES))
    adam = Adam([weights])
    for _ in range(STEPS):
        scores = inputs @ weights
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        slope = share * (ious - (share * ious).sum(axis=1, keepdims=True))
        gradient = DECAY * weights - np.einsum("kn,knc->c", slope, inputs) / len(choices)
        weights -= RATE * adam.changes([gradient])[0]
    return ChoiceWeights(*(v.astype(np.float32) for v in (mean, spread, weights)))


def choice_to_json(choice: ChoiceWeights) -> dict[str, list[float]]:
    """Weights as JSON holds them: five digits are enough."""
    values = {"mean": choice.mean, "spread": choice.spread, "weights": choice.weights}
    return {name: [float(f"{v:.5g}") for v in array] for name, array in values.items()}


def describe(choices: Sequence[OneClick], weights: ChoiceWeights) -> str:
    """How good what is chosen is, beside the best of the masks and the best one setting for all."""
    ious = np.stack([c.ious for c in choices])
    chosen = np.mean([c.ious[np.argmax(weights.score(c.measures))] for c in choices])
    best, fixed = ious.max(axis=1).mean(), ious.mean(axis=0).max()
    return f"IoU {100 * chosen:.1f}; the best mask {100 * best:.1f}, the best setting for all {100 * fixed:.1f}"


@cache
def _load(network: Path) -> WindowNetwork:
    return WindowNetwork(network)
