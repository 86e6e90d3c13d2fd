"""LightGlue as a point model: its two files of weights, its matcher, and the model that follows points by it."""

from __future__ import annotations

from nodes.tracker.lightglue.checkpoint import DISK, LIGHTGLUE, load_lightglue
from nodes.tracker.lightglue.network import LightGlue
from nodes.tracker.matching.model import MatchingModel
from stream.settings.config import Tracker, parse_fit_size
from stream.settings.options import POINT_BACKENDS
from stream.weights import published
from stream.weights.devices import choose_device, choose_precision


def make_lightglue(config: Tracker) -> MatchingModel:
    """The point model that the config asks for, on its device."""
    device = choose_device("tracker.device", config.device)
    choose_precision("tracker.precision", "float32", device)  # a GPU would round by itself: TF32
    files = published.find_all((DISK, LIGHTGLUE), config.checkpoint)
    disk, lightglue = (network.to(device) for network in load_lightglue(*files))
    smallest = POINT_BACKENDS["lightglue"].smallest_px
    matcher = LightGlue(disk, lightglue, config.max_keypoints)
    return MatchingModel(matcher, parse_fit_size(config.size), smallest, config.seed, config.match_end)
