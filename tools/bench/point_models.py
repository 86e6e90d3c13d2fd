"""`benchmark.py tracker --backend NAME`: milliseconds a new frame of one point tracker, or of all, as they run live."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from typing import Literal

import torch

from nodes.tracker.lucas_kanade import LucasKanade
from nodes.tracker.matching.model import MatchingModel
from nodes.tracker.pips.backend import PipsModel
from nodes.tracker.pips.checkpoint import load_pips
from nodes.tracker.pips.network import Pips
from nodes.tracker.point_model import PointModel
from nodes.tracker.raft.backend import RaftModel
from nodes.tracker.raft.checkpoint import load_raft
from nodes.tracker.raft.network import Raft
from nodes.tracker.tapnet.backend import TapNetModel
from nodes.tracker.tapnet.checkpoint import load_tapnet
from stream.errors import ConfigError, nearest
from stream.geometry import Size
from stream.settings.config import Tracker
from stream.settings.options import POINT_BACKENDS, Emit
from stream.weights.devices import choose_device
from tools.bench.pips.runs import NEW, LiveTracker
from tools.bench.rows import Row, row
from tools.goldens.trackers.raft_weights import raft_module, raft_weights
from tools.goldens.trackers.tapnet_weights import tapnet_network, tapnet_weights
from tools.goldens.weights import pips_weights
from tools.paper_settings import NEGATIVES, POSITIVES, TRACKER_SIZE

SIZES: tuple[Size, ...] = ((360, 640), TRACKER_SIZE)
OBJECTS = (1, 9)  # of 9 points each
TINY: Size = (128, 128)
MOST_KEYPOINTS = 1024  # of superglue and lightglue: their cost depends on it
EMITS: tuple[Emit, ...] = ("horizon", "frame")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each backend, frame size, number of points and way to answer."""
    names = list(MAKERS) if options.backend == "all" else [options.backend]
    for name in names:
        if name not in MAKERS:
            raise ConfigError(f"--backend {name}: there is no such point tracker; {nearest(name, [*MAKERS, 'all'])}")
    if options.checkpoint and options.backend == "all":
        raise ConfigError("--checkpoint names the weights of one backend; give --backend NAME as well")
    device = choose_device("--device", options.device)
    sizes, objects, positives = ((TINY,), OBJECTS[:1], 1) if options.quick else (SIZES, OBJECTS, POSITIVES)
    if options.size:
        sizes = (_size(options.size),)
    repeat = 1 if options.quick else options.repeat
    rows = []
    for size in sizes:
        for count in objects:
            part = f"{size[0]}x{size[1]}, {count * (positives + NEGATIVES)} points"
            for name in names:
                # what no later frame revises is computed once, however it is answered
                for emit in EMITS if POINT_BACKENDS[name].revises else EMITS[1:]:
                    print(f"tracker: {part}, {name}, emit: {emit}", file=sys.stderr)
                    model = _made(name, options, device)
                    live = LiveTracker(model, size, count, positives, emit)
                    costs = [live.run_window() for _ in range(repeat)]
                    measure_name = f"{name}, emit: {emit}"
                    rows.append(row(part, measure_name, "ms/frame", [1e3 * c.seconds / NEW for c in costs]))
                    rows += _counts(model, part, measure_name, repeat * NEW)
    return rows


def _size(text: str) -> Size:
    """(H, W) of HEIGHTxWIDTH; ConfigError where it is none."""
    if not re.fullmatch(r"\d{2,4}x\d{2,4}", text):
        raise ConfigError(f"--size is {text}; needs HEIGHTxWIDTH, px, as 360x640")
    height, width = text.split("x")
    return int(height), int(width)


def _counts(model: PointModel, part: str, name: str, frames: int) -> list[Row]:
    """How often the expensive parts of a model ran, over so many new frames and a first one before them."""
    if isinstance(model, RaftModel):
        encoded, pairs, what = model.network.encoded_frames, model.network.flows, "flows"
    elif isinstance(model, MatchingModel):
        encoded, pairs, what = model.encoded_frames, model.matched_pairs, "matches"
    else:
        return []
    return [
        row(part, f"{name}, encoded", "frames/frame", [encoded / (1 + frames)]),
        row(part, f"{name}, {what}", f"{what}/frame", [pairs / frames]),
    ]


def _made(name: str, options: argparse.Namespace, device: torch.device) -> PointModel:
    try:
        return MAKERS[name](options, device)
    except ModuleNotFoundError as error:
        file = POINT_BACKENDS[name].requirements
        raise ConfigError(
            f"--backend {name} needs the package {error.name}: `pip install -r {file}` brings it"
        ) from None


def _lucas_kanade(options: argparse.Namespace, device: torch.device) -> PointModel:
    return LucasKanade()


def _pips(options: argparse.Namespace, device: torch.device) -> PointModel:
    network = load_pips(options.checkpoint) if options.checkpoint else Pips()
    if not options.checkpoint:  # random ones: they make no difference to the time
        network.load_state_dict(pips_weights())
    return PipsModel(network.eval().to(device))


def _raft(options: argparse.Namespace, device: torch.device) -> PointModel:
    module = load_raft(options.checkpoint) if options.checkpoint else raft_module(raft_weights())
    return RaftModel(Raft(module.to(device), updates=2) if options.quick else Raft(module.to(device)))


def _tapnet(options: argparse.Namespace, device: torch.device) -> PointModel:
    network = load_tapnet(options.checkpoint) if options.checkpoint else tapnet_network(tapnet_weights())
    return TapNetModel(network.to(device))


def _superglue(options: argparse.Namespace, device: torch.device) -> PointModel:
    from nodes.tracker.superglue.backend import make_superglue
    from nodes.tracker.superglue.network import SuperGlue
    from tools.goldens.trackers.superglue_weights import superglue_module, superglue_weights, superpoint_weights

    if options.checkpoint:
        return make_superglue(_matching("superglue", options))
    module = superglue_module(superpoint_weights(), superglue_weights())
    return MatchingModel(SuperGlue(module.to(device), MOST_KEYPOINTS))


def _lightglue(options: argparse.Namespace, device: torch.device) -> PointModel:
    from nodes.tracker.lightglue.backend import make_lightglue
    from nodes.tracker.lightglue.network import LightGlue
    from tools.goldens.trackers.lightglue_weights import lightglue_networks

    if options.checkpoint:
        return make_lightglue(_matching("lightglue", options))
    disk, glue = (network.to(device) for network in lightglue_networks())
    return MatchingModel(LightGlue(disk, glue, MOST_KEYPOINTS))


def _matching(backend: Literal["superglue", "lightglue"], options: argparse.Namespace) -> Tracker:
    return Tracker(
        backend=backend,
        checkpoint=str(options.checkpoint),
        device=options.device,
        size="native",
        max_keypoints=MOST_KEYPOINTS,
    )


MAKERS: dict[str, Callable[[argparse.Namespace, torch.device], PointModel]] = {
    "lucas_kanade": _lucas_kanade,
    "pips": _pips,
    "raft": _raft,
    "tapnet": _tapnet,
    "superglue": _superglue,
    "lightglue": _lightglue,
}
