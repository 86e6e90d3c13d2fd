"""PIPS on line, and as its authors compute it: milliseconds a new frame side by side, and what ours are spent on.

The plain computation encodes the 8 frames of every window twice, for a feature run and a tracking run, and answers for
7 new frames. Ours is the tracker of the product with the same weights on the same frames: points are drawn anew at
every boundary, from masks that come at once.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from dataclasses import dataclass, field

import torch

from nodes.tracker.pips.checkpoint import load_pips
from nodes.tracker.pips.network import Pips
from stream.geometry import Size
from stream.settings.options import Emit
from stream.weights.devices import choose_device, cpu_has_bfloat16
from tools.bench import point_models
from tools.bench.pips import operations
from tools.bench.pips.runs import NEW, Cost, Ours, Plain, Spent, encode_one
from tools.bench.rows import Row, row
from tools.goldens.weights import pips_weights
from tools.paper_settings import NEGATIVES, POSITIVES, TRACKER_SIZE

SIZES: tuple[Size, ...] = ((360, 640), TRACKER_SIZE)
OBJECTS = (1, 9)
TINY = (64, 96)
HORIZON_TARGET, FRAME_TARGET, BFLOAT16_TARGET = 1 / 3, 1 / 2, 1 / 6  # ours / plain
TARGETS_AT = TRACKER_SIZE, 1  # size, objects
HALF = "bfloat16"
MODES: dict[str, tuple[Emit, float]] = {  # name -> emit, target
    "emit: horizon": ("horizon", HORIZON_TARGET),
    "emit: frame": ("frame", FRAME_TARGET),
    f"emit: horizon, {HALF}": ("horizon", BFLOAT16_TARGET),
}


@dataclass
class Runs:
    """Of one size and number of objects, a value a repetition."""

    points: int
    plain: list[Cost] = field(default_factory=list)  # of a window
    ours: dict[str, list[Spent]] = field(default_factory=dict)  # by mode


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py tracker`."""
    if options.backend != "pips":
        return point_models.measure(options)
    device = choose_device("--device", options.device)
    networks = {"float32": _network(options).to(device)}
    has_half = device.type == "cuda" or cpu_has_bfloat16()
    networks[HALF] = copy.deepcopy(networks["float32"])
    networks[HALF].compute_in(torch.bfloat16)
    modes = [mode for mode in MODES if has_half or HALF not in mode]
    sizes, objects, positives = ((TINY,), OBJECTS[:1], 1) if options.quick else (SIZES, OBJECTS, POSITIVES)
    points = {n: n * (positives + NEGATIVES) for n in objects}
    repeat = 1 if options.quick else options.repeat

    peaks: dict[str, list[float]] = {"float32": [], **({HALF: []} if has_half else {})}
    results: dict[tuple[Size, int], Runs] = {}
    for size in sizes:
        runs = {n: Runs(points[n], ours={mode: [] for mode in modes}) for n in objects}
        plain = Plain(networks["float32"], size)
        ours = {
            (n, mode): Ours(_of(networks, mode), size, n, positives, MODES[mode][0]) for n in objects for mode in modes
        }
        for i in range(repeat):
            print(f"tracker: {_name(size)}, repetition {i + 1} of {repeat}", file=sys.stderr)
            for name, speeds in peaks.items():
                speeds.append(matrix_product_flops(device, getattr(torch, name), 256 if options.quick else 2048))
            _repeat(plain, ours, runs if i == 0 else {objects[0]: runs[objects[0]]})  # many points take long: once
        results |= {(size, n): r for n, r in runs.items()}

    rows = [row(str(device), f"matrix product, {name}", "GFLOP/s", [v / 1e9 for v in s]) for name, s in peaks.items()]
    for (size, n), r in results.items():
        rows += _rows(size, n, r, {name: max(speeds) for name, speeds in peaks.items()})
    if not has_half:  # the CPU has no instructions for it: it goes by way of float32, slowly, so one tiny frame will do
        part = f"{_name(TINY)}, no {HALF} here"
        for name, network in networks.items():
            rows.append(row(part, f"encoder, {name}", "ms/frame", [1e3 * encode_one(network, TINY)]))
    return rows


def _repeat(plain: Plain, ours: dict[tuple[int, str], Ours], runs: dict[int, Runs]) -> None:
    """One window of each, ours between the two runs of the plain one: what slows the machine down slows both."""
    before = plain.encode()
    costs = {}
    for n, r in runs.items():
        costs[n] = plain.follow(r.points)
        for mode, spent in r.ours.items():
            spent.append(ours[n, mode].window())
        costs[n] += plain.follow(r.points)
    after = plain.encode()
    for n, r in runs.items():
        r.plain.append(before + costs[n] + after)


def _rows(size: Size, objects: int, runs: Runs, peaks: dict[str, float]) -> list[Row]:
    """What was found at one size for one number of points."""
    part = f"{_name(size)}, {runs.points} points"
    rows = [row(part, "plain", "ms/frame", [1e3 * cost.seconds / NEW for cost in runs.plain])]
    for mode, spent in runs.ours.items():
        pairs = [(s.cost, plain) for s, plain in zip(spent, runs.plain, strict=True)]
        target = {"at_most": MODES[mode][1]} if (size, objects) == TARGETS_AT else {}
        rows += [
            row(part, mode, "ms/frame", [1e3 * cost.seconds / NEW for cost, _ in pairs]),
            row(part, f"{mode} / plain", "", [cost.seconds / plain.seconds for cost, plain in pairs], **target),
            row(part, f"{mode} / plain", "of CPU time", [cost.cpu_s / plain.cpu_s for cost, plain in pairs]),
            row(part, f"{mode}, encoded", "frames/frame", [s.encoded / NEW for s in spent], at_most=1),
        ]
        for name in spent[0].parts:
            rows.append(
                row(part, f"{mode}, {name}", "% of time", [100 * s.parts[name] / s.cost.seconds for s in spent])
            )
        rest = [100 * (1 - sum(s.parts.values()) / s.cost.seconds) for s in spent]
        rows.append(row(part, f"{mode}, rest", "% of time", rest))
    rows += _efficiency(part, size, runs, peaks)
    return rows


def _efficiency(part: str, size: Size, runs: Runs, peaks: dict[str, float]) -> list[Row]:
    """Operations a new frame, and at which share of the machine's best matrix product they are done.

    The encoder's are counted as plain convolutions have them, and by what Winograd's, in float32 on a CPU, leave to do.
    """
    flop = {  # of a window
        "encoder": NEW * operations.encoder(size),
        "encoder (Winograd)": NEW * operations.encoder_by_winograd(size),
        "correlation": operations.correlation(runs.points),
        "mixer": operations.mixer(runs.points),
    }
    rows = [row(part, name, "GFLOP/frame", [count / NEW / 1e9]) for name, count in flop.items()]
    for mode, spent in runs.ours.items():
        if MODES[mode][0] == "frame":
            continue  # the same parts, only more often
        for name, count in flop.items():
            peak, own = peaks[HALF if HALF in mode else "float32"], name.partition(" ")[0]
            rows.append(row(part, f"{mode}, {name}", "% of peak", [100 * count / s.parts[own] / peak for s in spent]))
    return rows


def matrix_product_flops(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Floating-point operations a second of a large matrix product: what the machine can do, now.

    It multiplies as layers do, by a transposed matrix: where there are no bfloat16 instructions, another one takes 12
    times as long.
    """
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(5):
        began = time.perf_counter()
        (a @ b.T)[0, 0].item()  # waits for a GPU
        times.append(time.perf_counter() - began)
    return operations.matrix_product(side) / min(times[1:])


def _network(options: argparse.Namespace) -> Pips:
    """With the weights of the checkpoint, else random ones: they make no difference to the time."""
    if options.checkpoint:
        return load_pips(options.checkpoint)
    network = Pips()
    network.load_state_dict(pips_weights())
    return network.eval()


def _of(networks: dict[str, Pips], mode: str) -> Pips:
    return networks[HALF if HALF in mode else "float32"]


def _name(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
