"""The passes of prompting.py without a look at their numbers: visible points in, cropped logits out, for GPUs.

A GPU computes while Python goes on; whoever reads a value back makes each wait for the other. Here boxes, predicted
IoUs and which objects are still refined stay on the device. The host reads twice a frame, however many passes and
objects: where the masks are, then their logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nodes.decoder.sam.prompting import (
    MIN_MASK_PX,
    ObjectPrompt,
    PassRules,
    at_once,
    is_prompted,
    pad_points,
    with_others,
)
from nodes.decoder.sam.protocol import (
    LOW_RES,
    AsynchronousSamNetwork,
    DevicePrompts,
    SamEmbedding,
    check_numbers,
)
from stream.arrays import Array

BATCH = 64  # objects in one pass


@dataclass(frozen=True)
class DecodedCrop:
    """The answer for one object."""

    iou: float  # the predicted IoU; -inf where there was no pass
    passes: int
    window: tuple[int, int, int, int] | None = None  # x, y, width, height, frame px; None: no mask
    logits: Array | None = None  # (height, width) float32


@dataclass(frozen=True)
class _Passed:
    """What the passes gave for M objects, all of it on the device."""

    low_res: Tensor  # (M, 256, 256) float32
    iou: Tensor  # (M,) float32
    passes: Tensor  # (M,) int64
    finite: Tensor  # () bool


def decode_on_device(
    network: AsynchronousSamNetwork,
    embedding: SamEmbedding,
    objects: Sequence[ObjectPrompt],
    rules: PassRules,
    rng: np.random.Generator,
) -> list[DecodedCrop]:
    """The passes of all objects of a frame, and the part of the logits that holds each mask. Two waits, or one."""
    prompts = with_others(objects, rules, rng)
    asked = [i for i in range(len(prompts)) if is_prompted(objects[i], prompts[i], rules)]
    answers = [DecodedCrop(-np.inf, 0)] * len(prompts)
    if not asked:
        return answers
    with torch.inference_mode():
        batches = [asked[start : start + BATCH] for start in range(0, len(asked), BATCH)]
        passed = _joined([_run(network, embedding, [prompts[i] for i in batch], rules) for batch in batches])
        facts = _facts(network, embedding, passed).cpu().numpy()  # the first wait
        check_numbers(bool(facts[:, 6].all()))
        certain = np.array([prompts[i].certain for i in asked], bool)
        has_mask = (facts[:, 5] > 0) & (certain | (facts[:, 4] >= rules.iou_threshold))
        windows = [_window(row) if shown else None for row, shown in zip(facts, has_mask, strict=True)]
        crops = _crops(network, embedding, passed.low_res, windows)  # the second
    for i, row, window, crop in zip(asked, facts, windows, crops, strict=True):
        answers[i] = DecodedCrop(float(row[4]), int(row[7]), window, crop)
    return answers


def _run(
    network: AsynchronousSamNetwork, embedding: SamEmbedding, prompts: Sequence[ObjectPrompt], rules: PassRules
) -> _Passed:
    """All passes of a batch. An object that is done is computed with the others, and its last answer stays."""
    m, device = len(prompts), network.device
    opening = np.array([2 if prompt.has_negatives else 1 for prompt in prompts])
    last = opening + rules.refinement_passes
    low_res = torch.zeros((m, LOW_RES, LOW_RES), device=device)
    for i, prompt in enumerate(prompts):
        if prompt.low_res is not None:
            low_res[i] = prompt.low_res
    has_low_res = torch.tensor([prompt.low_res is not None for prompt in prompts], device=device)
    boxes = torch.tensor([prompt.box or (np.nan,) * 4 for prompt in prompts], dtype=torch.float32, device=device)
    first, all_points = (_uploaded(pad_points(prompts, step), device) for step in (0, 1))
    iou, passes = torch.full((m,), -torch.inf, device=device), torch.zeros(m, dtype=torch.int64, device=device)
    alive, finite = torch.ones(m, dtype=torch.bool, device=device), torch.ones((), dtype=torch.bool, device=device)
    for step in range(int(last.max())):
        xy, labels = all_points if step else first
        made, rated = network.predict_unread(embedding, DevicePrompts(xy, labels, boxes, low_res, has_low_res))
        finite = finite & ((made.isfinite().all(dim=2).all(dim=1) & rated.isfinite()) | ~alive).all()
        low_res, iou = torch.where(alive[:, None, None], made, low_res), torch.where(alive, rated, iou)
        has_low_res, passes = has_low_res | alive, passes + alive
        alive = alive & torch.tensor(step + 1 < last, device=device)
        if (refined := step + 1 >= opening).any() and step + 1 < last.max():
            is_refined = torch.tensor(refined, device=device)
            found, count = _bounds(network, embedding, low_res)
            found = torch.where(count[:, None] >= MIN_MASK_PX, found, torch.nan)
            boxes = torch.where((is_refined & alive)[:, None], found, boxes)
            alive = alive & (~is_refined | (count >= MIN_MASK_PX))
    return _Passed(low_res, iou, passes, finite)


def _uploaded(points: tuple[Array, Array], device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(points[0]).to(device), torch.from_numpy(points[1]).to(device)


def _joined(parts: Sequence[_Passed]) -> _Passed:
    low_res, iou, passes = (torch.cat([getattr(p, name) for p in parts]) for name in ("low_res", "iou", "passes"))
    return _Passed(low_res, iou, passes, torch.stack([p.finite for p in parts]).all())


def _bounds(network: AsynchronousSamNetwork, embedding: SamEmbedding, low_res: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 4) float32 left, top, right, bottom of each mask at frame size, and how many px it has (B,)."""
    bounds, counts = [], []
    for part in torch.split(low_res, at_once(embedding.frame_size)):
        masks = network.upscale(part, embedding) > 0
        edges = []
        for occupied in (masks.any(dim=1), masks.any(dim=2)):  # columns, rows
            flags = occupied.to(torch.uint8)
            edges.append((flags.argmax(dim=1), flags.shape[1] - 1 - flags.flip(1).argmax(dim=1)))
        (left, right), (top, bottom) = edges
        bounds.append(torch.stack([left, top, right, bottom], dim=1).float())
        counts.append(masks.flatten(1).sum(dim=1))
    return torch.cat(bounds), torch.cat(counts)


def _facts(network: AsynchronousSamNetwork, embedding: SamEmbedding, passed: _Passed) -> Tensor:
    """(M, 8) float64: the bounds, predicted IoU, px of the mask, whether all numbers were finite, passes."""
    bounds, count = _bounds(network, embedding, passed.low_res)
    finite = passed.finite.expand(len(count))
    return torch.cat([bounds, torch.stack([passed.iou, count, finite, passed.passes], dim=1)], dim=1).double()


def _window(row: Array) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(v) for v in row[:4])
    return left, top, right - left + 1, bottom - top + 1


def _crops(
    network: AsynchronousSamNetwork,
    embedding: SamEmbedding,
    low_res: Tensor,
    windows: Sequence[tuple[int, int, int, int] | None],
) -> Iterator[Array | None]:
    """The logits (height, width) float32 inside each window, read back together."""
    pieces, size = [], at_once(embedding.frame_size)
    for start in range(0, len(windows), size):
        part = windows[start : start + size]
        if any(part):
            logits = network.upscale(low_res[start : start + size], embedding)
            pieces += [
                values[window[1] : window[1] + window[3], window[0] : window[0] + window[2]].flatten()
                for values, window in zip(logits, part, strict=True)
                if window is not None
            ]
    rest = torch.cat(pieces).cpu().numpy() if pieces else np.zeros(0, np.float32)
    for window in windows:
        if window is None:
            yield None
        else:
            crop, rest = np.split(rest, [window[2] * window[3]])
            yield crop.reshape(window[3], window[2])
