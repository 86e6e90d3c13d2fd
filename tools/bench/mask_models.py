"""`benchmark.py decoder --backend all`: SAM's ViT-B, SAM 2.1 and EdgeTAM beside each other, as they run live.

Milliseconds an encode, a pass of one object and of five, and a frame of one object with three refinements, at the side
that they were trained at and at half of it; and what the package of SAM 2.1 takes for the same encode. Random weights
cost what trained ones do.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from nodes.decoder.sam.model_registry import TRAINED_SIDE
from nodes.decoder.sam.network import Sam
from nodes.decoder.sam2.model_registry import EDGETAM, HIERA, build_network
from nodes.decoder.sam2.network import Sam2
from stream.errors import ConfigError, nearest
from stream.weights.devices import choose_device
from tools.bench.decoder_runs import Prompted, frame_of, network_of, seconds
from tools.bench.rows import Row, row
from tools.goldens.sam2_weights import sam2_weights

ALL = ("sam vit_b", "sam2 tiny", "sam2 base_plus", EDGETAM)
NAMES = (*ALL, *(f"sam2 {model}" for model in HIERA if f"sam2 {model}" not in ALL))
OBJECTS = (1, 5)
REFINEMENTS = 3
QUICK_SIDE = 256


def measure(options: argparse.Namespace) -> list[Row]:
    """Rows for all of them, or for SAM's ViT-B and the one that is named."""
    device = choose_device("--device", options.device)
    own = EDGETAM if options.backend == EDGETAM else f"{options.backend} {options.model}"
    names = ALL if options.backend == "all" else ("sam vit_b", own)
    if own not in NAMES and options.backend != "all":
        raise ConfigError(
            f"--model {options.model}: {options.backend} has no such model; {nearest(options.model, HIERA)}"
        )
    sides = (QUICK_SIDE,) if options.quick else (TRAINED_SIDE, TRAINED_SIDE // 2)
    rows = []
    for side in sides:
        for name in names:
            print(f"decoder: {name}, {side} px", file=sys.stderr)
            rows += _of_one(name, side, device, 1 if options.quick else options.repeat, options.quick)
    return rows


def _of_one(name: str, side: int, device: torch.device, repeat: int, quick: bool) -> list[Row]:
    sam, theirs = _make(name, side, device, quick)
    rgb = frame_of()
    embedding = sam.encode(rgb)  # and warm
    prompted = {m: Prompted(m) for m in OBJECTS}
    for objects in prompted.values():
        objects.one_pass(sam, embedding)()
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(repeat):
        samples["encode"].append(seconds(partial(sam.encode, rgb), device))
        for m, objects in prompted.items():
            samples[f"pass {m}"].append(seconds(objects.one_pass(sam, embedding), device))
        samples["frame"].append(seconds(partial(prompted[1].ours, sam, embedding, REFINEMENTS), device))
        if theirs is not None:
            samples["package"].append(seconds(theirs, device))
    part = f"{name}, {side} px, {device}"
    frames = [a + b for a, b in zip(samples["encode"], samples["frame"], strict=True)]
    rows = [
        row(part, "encode", "ms", _ms(samples["encode"])),
        *(row(part, f"a pass, {m} object{'s' if m > 1 else ''}", "ms", _ms(samples[f"pass {m}"])) for m in OBJECTS),
        row(part, f"a frame, 1 object, {REFINEMENTS} refinements", "ms", _ms(frames)),
    ]
    if theirs is not None:
        rows.append(row(part, "encode, package", "ms", _ms(samples["package"])))
    return rows


def _make(name: str, side: int, device: torch.device, quick: bool) -> tuple[Sam, Callable[[], object] | None]:
    """A network, and an encode by its package where that takes any side."""
    backend, _, model = name.partition(" ")
    if backend == "sam":
        return Sam(network_of(backend, model, quick), device, side=side), None
    network, theirs = (_network(backend, model) for _ in range(2))
    sam = Sam2(network, device, side=side)
    vision, image = theirs.vision_encoder.to(device), torch.zeros(1, 3, side, side, device=device)
    return sam, lambda: _encode(vision, image)


def _network(backend: str, model: str) -> Any:
    network = build_network(backend, model)
    network.load_state_dict(sam2_weights(0, backend, model), assign=True)
    return network


def _encode(vision: Any, image: torch.Tensor) -> object:
    with torch.inference_mode():
        return vision(image)


def _ms(values: list[float]) -> list[float]:
    return [1e3 * v for v in values]
