"""What `benchmark.py decoder` times: the passes of SAM-PT on one frame, by ours and by the package's predictor."""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from nodes.decoder.sam.model_registry import REGISTRIES, build_network
from nodes.decoder.sam.network import Sam
from nodes.decoder.sam.prompting import mask_boxes
from nodes.decoder.sam.protocol import SamEmbedding, SamPrompts
from stream.arrays import Array
from stream.weights.torchvision_ops import import_quietly
from tools.goldens.sam_weights import sam_weights
from tools.paper_settings import NEGATIVES, POSITIVES, SEED, TRACKER_SIZE

OBJECT_PX = 60.0  # points of an object lie so close


def network_of(backend: str, model: str, tiny: bool) -> Any:
    """A package's `Sam` with random weights, which cost as much time as trained ones; `tiny`: an encoder of nothing."""
    if tiny:
        build = import_quietly("segment_anything.build_sam")._build_sam
        torch.manual_seed(0)
        return build(32, 2, 2, [1]).requires_grad_(False)
    network = build_network(backend, model)
    network.load_state_dict(sam_weights(0, backend, model), assign=True)
    return network.eval().requires_grad_(False)


def frame_of() -> Array:
    """A frame with something on it: (H, W, 3) uint8."""
    y, x = np.mgrid[: TRACKER_SIZE[0], : TRACKER_SIZE[1]]
    waves = [127 + 120 * np.sin(x / a + y / b) for a, b in ((31, 57), (83, 29), (47, 101))]
    return np.stack(waves, axis=-1).astype(np.uint8)


class Prompted:
    """M objects on the frame, each with its points, prompted pass by pass as SAM-PT does (paper, section 3.2).

    The positive points of all other objects are negative ones as well.
    """

    def __init__(self, objects: int) -> None:
        rng = np.random.default_rng(SEED)
        height, width = TRACKER_SIZE
        centres = rng.uniform((OBJECT_PX, OBJECT_PX), (width - OBJECT_PX, height - OBJECT_PX), (objects, 1, 2))
        near = rng.uniform(-OBJECT_PX, OBJECT_PX, (objects, POSITIVES, 2))
        positives = (centres + near).astype(np.float32)  # (M, P, 2)
        negatives = rng.uniform((0, 0), (width - 1, height - 1), (objects, NEGATIVES, 2)).astype(np.float32)
        others = [
            np.concatenate([p for j, p in enumerate(positives) if j != i] or [positives[:0, 0]]) for i in range(objects)
        ]
        self.xy = np.stack([np.concatenate(parts) for parts in zip(positives, negatives, others, strict=True)])
        self.labels = np.zeros(self.xy.shape[:2], np.int64)
        self.labels[:, :POSITIVES] = 1
        self.fallback = np.array([100.0, 100.0, 500.0, 400.0], np.float32)  # random weights may give an empty mask

    def ours(self, sam: Sam, embedding: SamEmbedding, refinements: int, part: slice = slice(None)) -> torch.Tensor:
        """All passes for the objects of `part`, together: their last low-resolution logits (M, 256, 256)."""
        xy, labels = self.xy[part], self.labels[part]
        none, no = np.full((len(xy), 4), np.nan, np.float32), np.zeros(len(xy), bool)
        low_res = sam.predict(embedding, SamPrompts(xy[:, :POSITIVES], labels[:, :POSITIVES], none, None, no)).low_res
        low_res = sam.predict(embedding, SamPrompts(xy, labels, none, low_res, ~no)).low_res
        for _ in range(refinements):
            boxes = mask_boxes(sam, embedding, low_res)
            boxes = np.where(np.isnan(boxes), self.fallback, boxes)
            low_res = sam.predict(embedding, SamPrompts(xy, labels, boxes, low_res, ~no)).low_res
        return low_res

    def one_pass(self, sam: Sam, embedding: SamEmbedding) -> Callable[[], object]:
        """The last and dearest of these passes, alone."""
        m = len(self.xy)
        boxes, low_res = np.tile(self.fallback, (m, 1)), torch.zeros(m, 256, 256, device=sam.device)
        prompts = SamPrompts(self.xy, self.labels, boxes, low_res, np.ones(m, bool))
        return lambda: sam.predict(embedding, prompts)

    def package(self, predictor: Any, refinements: int) -> None:
        """The same passes with the package's predictor, which takes one object a call, as the reference does."""
        for xy, labels in zip(self.xy, self.labels, strict=True):
            predict = functools.partial(predictor.predict, multimask_output=False, return_logits=True)
            _, _, low_res = predict(xy[:POSITIVES], labels[:POSITIVES])
            logits, _, low_res = predict(xy, labels, mask_input=low_res)
            for _ in range(refinements):
                y, x = np.nonzero(logits[0] > 0)
                box = np.array([x.min(), y.min(), x.max(), y.max()]) if len(x) > 1 else self.fallback
                logits, _, low_res = predict(xy, labels, box=box, mask_input=low_res)


def mask_iou(masks: torch.Tensor, others: torch.Tensor) -> float:
    """The mean IoU of M masks (M, h, w) with M others; two empty ones are alike."""
    both, either = (masks & others).flatten(1).sum(dim=1), (masks | others).flatten(1).sum(dim=1)
    return float(torch.where(either > 0, both / either.clamp(min=1), 1.0).mean())


def predictor_of(backend: str, network: Any) -> Any:
    """The package's predictor around its network."""
    package = import_quietly(REGISTRIES[backend][0].partition(".")[0])
    return package.SamPredictor(network)


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """How long `run` takes, until the device is done with it."""
    _wait(device)
    began = perf_counter()
    run()
    _wait(device)
    return perf_counter() - began


def operations(run: Callable[[], object]) -> int:
    """Floating-point operations of the products and convolutions in `run`; a multiplication and an addition are two."""
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # which torch does not count by itself
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what other threads do is not counted
    try:
        with FlopCounterMode(display=False, custom_mapping={attention: _of_attention}) as counter:
            run()
    finally:
        torch.set_num_threads(threads)
    return int(counter.get_total_flops())


def _of_attention(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
    (b, heads, n, c), m = q, k[2]
    return int(2 * b * heads * n * m * (c + v[3]))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
