"""SAM's encoder and mask decoder on one frame: milliseconds an encode, a pass, a frame; ours beside the package's.

Random weights cost what trained ones do. A frame of M objects is one encode and 14 passes (12 of them refinements) with
8 positive points and 1 negative one an object, all other objects' positive ones as further negatives, and the box of
each mask at 1024x576. One by one is the package's predictor, called object after object as the reference does.
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
from nodes.decoder.sam.protocol import SamEmbedding
from stream.weights.devices import choose_device, cpu_has_bfloat16
from tools.bench.decoder_runs import Prompted, frame_of, mask_iou, network_of, operations, predictor_of, seconds
from tools.bench.rows import Row, row
from tools.bench.tracker import matrix_product_flops

OBJECTS = (1, 5, 20)
BATCH = 5  # objects that are also decoded one by one
REFINEMENTS = 12
SMALL_SIDE = 512
HALF = {"cpu": "bfloat16", "cuda": "float16"}
BATCH_TARGET, HALF_TARGET, SMALL_TARGET = 1 / 2, 1 / 3, 1 / 10  # of the package's time
ERROR_SIDE = 256  # where a CPU has no bfloat16, its error is measured on so small an input: it takes minutes otherwise

Variant = tuple[str, int]  # precision, side
Samples = defaultdict[str, list[float]]


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py decoder`."""
    if options.backend in ("all", "sam2", "edgetam"):
        from tools.bench import mask_models

        return mask_models.measure(options)
    device = choose_device("--device", options.device)
    half = HALF[device.type]
    has_half = device.type == "cuda" or cpu_has_bfloat16()
    variants: list[Variant] = [("float32", TRAINED_SIDE), ("float32", SMALL_SIDE)]
    if has_half:
        variants += [(half, TRAINED_SIDE), (half, SMALL_SIDE)]
    objects: tuple[int, ...] = OBJECTS
    repeat, refinements = options.repeat, REFINEMENTS
    if options.quick:
        repeat, refinements, objects = 1, 1, (1, 2)

    def sam_of(variant: Variant) -> Sam:
        network = network_of(options.backend, options.model, options.quick)
        return Sam(network, device, getattr(torch, variant[0]), variant[1], options.compile)

    sams = {variant: sam_of(variant) for variant in variants}
    predictor = predictor_of(options.backend, network_of(options.backend, options.model, options.quick).to(device))
    rgb = frame_of()
    embeddings = {variant: sam.encode(rgb) for variant, sam in sams.items()}  # and warm
    prompted = {m: Prompted(m) for m in objects}
    batch = prompted[min(BATCH, max(objects))]
    main = sams[variants[0]], embeddings[variants[0]]

    samples: Samples = defaultdict(list)
    for i in range(repeat):
        print(f"decoder: repetition {i + 1} of {repeat}", file=sys.stderr)

        def take(name: str, run: Callable[[], object]) -> None:
            samples[name].append(seconds(run, device))

        for precision in ("float32", *([half] if has_half else [])):
            side = 256 if options.quick else 2048
            samples[f"peak {precision}"].append(matrix_product_flops(device, getattr(torch, precision), side))
        take("package", partial(predictor.set_image, rgb))
        for variant, sam in sams.items():
            take(_name(variant), partial(sam.encode, rgb))
        for m, objects_of_frame in prompted.items():
            take(f"pass {m}", objects_of_frame.one_pass(*main))
            take(f"frame {m}", partial(objects_of_frame.ours, *main, refinements))
        take("package one by one", partial(batch.package, predictor, refinements))
        take("one by one", partial(_one_by_one, batch, *main, refinements))

    model = f"{options.backend} {options.model}, {device}"
    rows = [
        row(model, f"matrix product, {n}", "GFLOP/s", _scaled(samples[f"peak {n}"], 1e-9))
        for n in ("float32", half)
        if f"peak {n}" in samples
    ]
    rows += _encodes(model, sams, samples, rgb)
    rows += _decodes(model, prompted, samples, main)
    rows += _errors(model, sams, embeddings, sam_of, rgb, half)
    return rows + _masks(model, sams, embeddings, batch)


def _one_by_one(batch: Prompted, sam: Sam, embedding: SamEmbedding, refinements: int) -> None:
    for m in range(len(batch.xy)):
        batch.ours(sam, embedding, refinements, slice(m, m + 1))


def _encodes(model: str, sams: dict[Variant, Sam], samples: Samples, rgb: Any) -> list[Row]:
    """Encoding: each variant beside the package, and at which share of the machine's best product."""
    rows = [row(model, f"encode, package, float32, {TRAINED_SIDE} px", "ms", _scaled(samples["package"], 1e3))]
    targets = {HALF[d]: {TRAINED_SIDE: HALF_TARGET, SMALL_SIDE: SMALL_TARGET} for d in HALF}
    for variant, sam in sams.items():
        name, (precision, side) = _name(variant), variant
        took, flop = samples[name], operations(partial(sam.encode, rgb))
        peak = max(samples[f"peak {precision}"])
        target = targets.get(precision, {}).get(side)
        rows += [
            row(model, f"encode, {name}", "ms", _scaled(took, 1e3)),
            row(model, f"encode, {name} / package", "", _ratios(took, samples["package"]), at_most=target),
            row(model, f"encode, {name}", "GFLOP", [flop / 1e9]),
            row(model, f"encode, {name}", "% of peak", [100 * flop / s / peak for s in took]),
        ]
    return rows


def _decodes(model: str, prompted: dict[int, Prompted], samples: Samples, main: tuple[Sam, SamEmbedding]) -> list[Row]:
    """Passes and whole frames by the number of objects; together against one by one."""
    rows, encode, peak = [], samples[_name(("float32", TRAINED_SIDE))], max(samples["peak float32"])
    for m, objects in prompted.items():
        part, flop = f"{m} object{'s' if m > 1 else ''}", operations(objects.one_pass(*main))
        rows += [
            row(part, "a pass", "ms", _scaled(samples[f"pass {m}"], 1e3)),
            row(part, "a pass", "% of peak", [100 * flop / s / peak for s in samples[f"pass {m}"]]),
            row(part, "all passes of a frame", "ms", _scaled(samples[f"frame {m}"], 1e3)),
            row(part, "a frame", "ms", [1e3 * (a + b) for a, b in zip(encode, samples[f"frame {m}"], strict=True)]),
        ]
    m = min(BATCH, max(prompted))
    together, theirs, ours = samples[f"frame {m}"], samples["package one by one"], samples["one by one"]
    return [
        *rows,
        row(f"{m} objects", "all passes, package, one by one", "ms", _scaled(theirs, 1e3)),
        row(f"{m} objects", "all passes, ours, one by one", "ms", _scaled(ours, 1e3)),
        row(f"{m} objects", "together / package, one by one", "", _ratios(together, theirs), at_most=BATCH_TARGET),
        row(f"{m} objects", "together / ours, one by one", "", _ratios(together, ours)),
    ]


def _errors(
    model: str,
    sams: dict[Variant, Sam],
    embeddings: dict[Variant, SamEmbedding],
    sam_of: Callable[[Variant], Sam],
    rgb: Any,
    half: str,
) -> list[Row]:
    """What half precision makes of the embedding, relative to its mean size."""
    side = TRAINED_SIDE if (half, TRAINED_SIDE) in sams else ERROR_SIDE
    of = [embeddings.get((name, side)) or sam_of((name, side)).encode(rgb) for name in ("float32", half)]
    exact, rounded = (embedding.features[0].float() for embedding in of)
    error = 100 * (rounded - exact).abs().mean() / exact.abs().mean()
    return [row(model, f"error of {half}, {side} px", "% of embedding", [error.item()])]


def _masks(model: str, sams: dict[Variant, Sam], embeddings: dict[Variant, SamEmbedding], batch: Prompted) -> list[Row]:
    """What becomes of the masks of two passes at a smaller side, or half precision. Random weights exaggerate it."""
    masks = {v: batch.ours(sam, embeddings[v], 0) > 0 for v, sam in sams.items()}
    exact, *others = masks
    return [
        row(
            model,
            f"masks, {_name(v)}, with those of {_name(exact)}, random weights",
            "IoU",
            [mask_iou(masks[v], masks[exact])],
        )
        for v in others
    ]


def _name(variant: Variant) -> str:
    return f"{variant[0]}, {variant[1]} px"


def _scaled(values: list[float], factor: float) -> list[float]:
    return [factor * v for v in values]


def _ratios(values: list[float], by: list[float]) -> list[float]:
    return [a / b for a, b in zip(values, by, strict=True)]
