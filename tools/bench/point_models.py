"""`benchmark.py tracker --backend NAME`: milliseconds a new frame of one point tracker, or of all, as they run live."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import torch

from nodes.tracker.lucas_kanade import LucasKanade
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
from stream.settings.options import Emit
from stream.weights.devices import choose_device
from tools.bench.pips_runs import NEW, LiveTracker
from tools.bench.rows import Row, row
from tools.goldens.trackers.raft_weights import raft_module, raft_weights
from tools.goldens.trackers.tapnet_weights import tapnet_network, tapnet_weights
from tools.goldens.weights import pips_weights
from tools.paper_settings import NEGATIVES, POSITIVES, TRACKER_SIZE

SIZES: tuple[Size, ...] = ((360, 640), TRACKER_SIZE)
OBJECTS = (1, 9)  # of 9 points each
TINY: Size = (128, 128)
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
    repeat = 1 if options.quick else options.repeat
    rows = []
    for size in sizes:
        for count in objects:
            part = f"{size[0]}x{size[1]}, {count * (positives + NEGATIVES)} points"
            for name in names:
                for emit in EMITS:
                    print(f"tracker: {part}, {name}, emit: {emit}", file=sys.stderr)
                    model = MAKERS[name](options, device)
                    live = LiveTracker(model, size, count, positives, emit)
                    costs = [live.run_window() for _ in range(repeat)]
                    measure_name = f"{name}, emit: {emit}"
                    rows.append(row(part, measure_name, "ms/frame", [1e3 * c.seconds / NEW for c in costs]))
                    if isinstance(model, RaftModel):
                        frames = 1 + repeat * NEW  # the first one is no part of a window
                        network = model.network
                        rows.append(
                            row(part, f"{measure_name}, encoded", "frames/frame", [network.encoded_frames / frames])
                        )
                        rows.append(row(part, f"{measure_name}, flows", "flows/frame", [network.flows / (frames - 1)]))
    return rows


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


MAKERS: dict[str, Callable[[argparse.Namespace, torch.device], PointModel]] = {
    "lucas_kanade": _lucas_kanade,
    "pips": _pips,
    "raft": _raft,
    "tapnet": _tapnet,
}
