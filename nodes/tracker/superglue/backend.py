"""SuperGlue as a point model: its two files of weights, its matcher, and the model that follows points by it."""

from __future__ import annotations

from nodes.tracker.matching.model import MatchingModel
from nodes.tracker.superglue.checkpoint import SUPERGLUE, SUPERPOINT, load_superglue
from nodes.tracker.superglue.network import SuperGlue
from stream.settings.config import Tracker, parse_fit_size
from stream.settings.options import POINT_BACKENDS
from stream.weights import published
from stream.weights.devices import choose_device, choose_precision


def make_superglue(config: Tracker) -> MatchingModel:
    """The point model that the config asks for, on its device."""
    device = choose_device("tracker.device", config.device)
    choose_precision("tracker.precision", "float32", device)  # a GPU would round by itself: TF32
    files = published.find_all((SUPERPOINT, SUPERGLUE), config.checkpoint)
    matcher = SuperGlue(load_superglue(*files).to(device), config.max_keypoints)
    smallest = POINT_BACKENDS["superglue"].smallest_px
    return MatchingModel(matcher, parse_fit_size(config.size), smallest, config.seed, config.match_end)
