"""The networks of the SAM family on the device: an encode, a frame of 1, 5 and 20 objects, waits, and a profile."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch

from nodes.decoder.mask_model import Query
from nodes.decoder.sam.network import Sam
from nodes.decoder.sam.sam_pt import SamPt
from stream.messages import ObjectTrack
from tools.bench.decoder_runs import Prompted, frame_of, network_of, predictor_of, seconds
from tools.bench.gpu.networks import SAM_NETWORKS, SamName, sam_names
from tools.bench.gpu.parts import Measurement
from tools.bench.gpu.peak import flops_of, matrix_peak, share_of_peak
from tools.bench.gpu.profiling import profile
from tools.bench.gpu.variants import FLOAT32, Variant, computing_in, variants
from tools.bench.gpu.waits import WaitCounter
from tools.bench.rows import Row, row
from tools.paper_settings import NEGATIVES, POSITIVES

REPEAT = 20
SIDES = (1024, 512)
OBJECTS = (1, 5, 20)
MOST_WAITS = 3  # a frame


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """A measurement a network."""
    return [
        Measurement(SAM_NETWORKS[name], partial(_measure, name, options.quick, device, profiles))
        for name in sam_names(options.quick)
    ]


def _measure(name: SamName, quick: bool, device: torch.device, profiles: dict[str, str]) -> list[Row]:
    part, rgb = SAM_NETWORKS[name], frame_of()
    repeat = 1 if quick else REPEAT
    sides = (256,) if quick else SIDES if name[1] != "vit_tiny" else SIDES[:1]  # TinyViT has one side
    rows = []
    if not quick:
        package = partial(predictor_of(name[0], network_of(*name, tiny=False).to(device)).set_image, rgb)
        rows.append(_timed(part, "encode, package, float32, 1024 px", package, device, repeat))
    for variant in variants(device):
        for side in sides:
            with computing_in(variant):
                as_live = side == sides[0] and variant == variants(device)[-1]
                # Compiled as a run does it, but only what the frames are measured with: it takes up to a minute.
                sam = Sam(network_of(*name, tiny=quick), device, variant.dtype, side, as_live and "auto")
                encode = partial(sam.encode, rgb)
                what = f"encode, {variant.name}, {side} px{', compiled' if as_live and device.type == 'cuda' else ''}"
                rows.append(_timed(part, what, encode, device, repeat))
                if as_live and device.type == "cuda":
                    rows += _share(part, name, rows[-1], variant, device)
                if side == sides[0] and (as_live or variant == FLOAT32):
                    rows += _frames(part, variant.name, sam, quick, device, profiles)
    return rows


def _share(part: str, name: SamName, encode: Row, variant: Variant, device: torch.device) -> list[Row]:
    """Which part of the device's matrix peak an encode reaches."""
    flops = encode_flops(name, device, variant.dtype)
    peak = matrix_peak(device, variant.dtype)
    return [
        row(part, f"encode, {variant.name}", "TFLOP", [flops / 1e12]),
        row(
            part, f"encode, {variant.name}", "% of the matrix peak", [share_of_peak(flops, encode["value"] / 1e3, peak)]
        ),
    ]


@cache
def encode_flops(name: SamName, device: torch.device, dtype: torch.dtype) -> int:
    """Operations of an encode at 1024 px, counted in the plain code."""
    plain = Sam(network_of(*name, tiny=False), device, dtype)
    image = plain.prepare(frame_of())[None].to(dtype)
    with torch.inference_mode():
        return flops_of(lambda: plain.encoder(image))


def _frames(
    part: str, variant: str, sam: Sam, quick: bool, device: torch.device, profiles: dict[str, str]
) -> list[Row]:
    """All passes of a frame, by the number of objects; how often the host waits; where the time goes."""
    rows, model, rgb = [], SamPt(sam, iou_threshold=0.0), frame_of()
    refinements = 1 if quick else model.refinement_passes
    for count in OBJECTS[:2] if quick else OBJECTS:
        asked = queries(count)
        embedding = sam.encode(rgb)
        decode: Callable[[], object] = partial(model.decode_sparingly, embedding, asked, refinements)
        rows.append(_timed(part, f"{variant}, all passes of {count} objects", decode, device, 1 if quick else REPEAT))

        def step(asked: list[Query] = asked) -> None:
            model.decode_sparingly(sam.encode(rgb), asked, refinements)

        with WaitCounter() as waited:
            step()
        bound = MOST_WAITS if sam.is_asynchronous else None
        rows.append(row(part, f"{variant}, waits of a frame of {count} objects", "", [waited.waits], at_most=bound))
        if count == 5:
            shares, text = profile(step, device)
            profiles[f"{part}, {variant}, {count} objects"] = text
            rows += [
                row(part, f"{variant}, a frame of {count} objects, {what}", "% of time", [v])
                for what, v in shares.items()
            ]
    return rows


def queries(count: int) -> list[Query]:
    """Objects as the tracker shows them to the decoder."""
    xy = Prompted(count).xy[:, : POSITIVES + NEGATIVES]
    labels = np.repeat(np.array([1, 0], np.uint8), [POSITIVES, NEGATIVES])
    seen = np.ones(len(labels), np.float32)
    tracks = [ObjectTrack(object_id=i, xy=at, visibility=seen, labels=labels) for i, at in enumerate(xy, 1)]
    return [Query(track) for track in tracks]


def _timed(part: str, measure: str, run: Callable[[], object], device: torch.device, repeat: int) -> Row:
    run()  # kernels are chosen and memory is taken once
    return row(part, measure, "ms", [1e3 * seconds(run, device) for _ in range(repeat)])
