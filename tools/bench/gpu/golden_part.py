"""Right on the GPU: what the CPU computes in float32, computed there in float32, TF32, bfloat16 and float16.

The CPU's numbers are within the tolerances of the golden ones (`tools/golden.py`), which an independent implementation
made; here the same tolerances hold between the CPU and the GPU.
"""

from __future__ import annotations

import argparse
from functools import cache, partial

import numpy as np
import torch

from nodes.capture.scene import DemoScene
from nodes.decoder.sam.network import Sam
from nodes.decoder.sam.protocol import SamEmbedding, SamPrompts
from nodes.tracker.pips.backend import PipsModel
from nodes.tracker.pips.network import S
from nodes.tracker.point_model import Points, Trajectories
from stream.arrays import Array
from stream.geometry import Size
from tools.bench.decoder_runs import Prompted, frame_of, mask_iou, network_of
from tools.bench.gpu.networks import SAM_NETWORKS, SamName, pips_network, sam_names
from tools.bench.gpu.parts import Measurement
from tools.bench.gpu.variants import FLOAT32, Variant, computing_in, variants
from tools.bench.rows import Row, row

PIPS_SIZE: Size = (360, 640)
QUICK_SIZE: Size = (96, 128)
POINTS_A_SIDE = 5
XY_PX, VISIBILITY, LOGITS, PREDICTED_IOU = 1e-2, 1e-3, 1e-3, 1e-3  # the goldens' tolerances
BATCH_LOGITS = 1e-3  # between an object alone and among others
OBJECTS = 5


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """What this part measures."""
    size = QUICK_SIZE if options.quick else PIPS_SIZE
    sams = [
        Measurement(SAM_NETWORKS[name], partial(_sam, name, device, options.quick)) for name in sam_names(options.quick)
    ]
    return [Measurement("PIPS", partial(_pips, device, size)), *sams]


# --- PIPS -------------------------------------------------------------------------------------------------------------


def _pips(device: torch.device, size: Size) -> list[Row]:
    scene = DemoScene(size)
    frames = [scene.draw(i)[0] for i in range(S)]
    exact = _follow(_pips_model(torch.device("cpu"), FLOAT32), frames)
    rows = []
    for variant in variants(device):
        with computing_in(variant):
            found = _follow(_pips_model(device, variant), frames)
        bound, seen = (XY_PX, VISIBILITY) if variant == FLOAT32 else (None, None)
        xy_px = float(np.abs(found.xy - exact.xy).max())
        visibility = float(np.abs(found.visibility - exact.visibility).max())
        rows.append(row("PIPS", f"{variant.name}, trajectories", "px", [xy_px], at_most=bound))
        rows.append(row("PIPS", f"{variant.name}, visibility", "", [visibility], at_most=seen))
    return rows


def _pips_model(device: torch.device, variant: Variant) -> PipsModel:
    return PipsModel(pips_network(device, variant.dtype))


def _follow(model: PipsModel, frames: list[Array]) -> Trajectories:
    """A grid of points through one window."""
    height, width = frames[0].shape[:2]
    xs, ys = (np.linspace(0.15, 0.85, POINTS_A_SIDE) * side for side in (width, height))
    xy = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.float32)
    features = [model.encode(frame) for frame in frames]
    n = len(xy)
    points = Points(xy, np.ones(n, np.uint8), np.ones(n, np.int32), model.describe(features[0], xy))
    return model.track(features, points, None)


# --- SAM --------------------------------------------------------------------------------------------------------------


def _sam(name: SamName, device: torch.device, quick: bool) -> list[Row]:
    part, side = SAM_NETWORKS[name], 256 if quick and name[1] != "vit_tiny" else 1024
    objects, refinements = (2, 1) if quick else (OBJECTS, 12)
    prompted, rgb = Prompted(objects), frame_of()

    @cache
    def network() -> object:
        return network_of(*name, tiny=quick)

    cpu = Sam(network(), torch.device("cpu"), side=side)
    exact = cpu.encode(rgb)
    first = _first_pass(cpu, exact, prompted)
    masks = prompted.ours(cpu, exact, refinements) > 0
    rows = []
    for variant in variants(device):
        with computing_in(variant):
            sam = Sam(network_of(*name, tiny=quick), device, variant.dtype, side)
            embedding = sam.encode(rgb)
            found = _first_pass(sam, embedding, prompted)
            after = prompted.ours(sam, embedding, refinements).cpu() > 0
            bounds = (LOGITS, PREDICTED_IOU) if variant == FLOAT32 else (None, None)
            rows += [
                row(part, f"{variant.name}, embedding", "% of its mean size", [_error(embedding, exact)]),
                row(
                    part,
                    f"{variant.name}, logits",
                    "of the largest",
                    [_relative(found[0], first[0])],
                    at_most=bounds[0],
                ),
                row(
                    part,
                    f"{variant.name}, predicted IoU",
                    "",
                    [float(np.abs(found[1] - first[1]).max())],
                    at_most=bounds[1],
                ),
                row(part, f"{variant.name}, masks after {refinements} refinements", "IoU", [mask_iou(after, masks)]),
            ]
            if variant == FLOAT32:
                rows.append(_batch_row(part, sam, embedding, prompted))
    return rows


def _first_pass(
    sam: Sam, embedding: SamEmbedding, prompted: Prompted, part: slice = slice(None)
) -> tuple[torch.Tensor, Array]:
    """Logits (M, 256, 256) on the CPU and predicted IoU (M,) of the points alone."""
    xy, labels = prompted.xy[part], prompted.labels[part]
    none, no = np.full((len(xy), 4), np.nan, np.float32), np.zeros(len(xy), bool)
    answer = sam.predict(embedding, SamPrompts(xy, labels, none, None, no))
    return answer.low_res.cpu(), answer.iou


def _batch_row(part: str, sam: Sam, embedding: SamEmbedding, prompted: Prompted) -> Row:
    """How far the logits of an object depend on who is decoded with it."""
    together, _ = _first_pass(sam, embedding, prompted)
    alone = [_first_pass(sam, embedding, prompted, slice(i, i + 1))[0] for i in range(len(prompted.xy))]
    error = _relative(together, torch.cat(alone))
    return row(
        part,
        f"{len(alone)} objects together against one by one, logits",
        "of the largest",
        [error],
        at_most=BATCH_LOGITS,
    )


def _error(found: SamEmbedding, exact: SamEmbedding) -> float:
    rounded, of = found.features[0].float().cpu(), exact.features[0].float()
    return float(100 * (rounded - of).abs().mean() / of.abs().mean())


def _relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).abs().max() / exact.abs().max().clamp(min=1))
