"""The passes of prompting.py without a look at their numbers: visible points in, cropped logits out, for GPUs.

A GPU computes while Python goes on; whoever reads a value back makes each wait for the other. Here boxes, predicted
IoUs and which objects are still refined stay on the device. The host reads twice a frame, however many passes and
objects: where the masks are, then their logits.

A pass reads and writes the same memory each time, so that a GPU replays it as one launch (stream/weights/cuda_graphs).
Few arrangements of shapes are recorded: objects and points that nobody asked for fill them up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

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
    PADDING,
    AsynchronousSamNetwork,
    DevicePrompts,
    SamEmbedding,
    check_numbers,
)
from stream.arrays import Array
from stream.weights.devices import download, reporting_memory, upload

BATCH = 64  # objects in one pass
OBJECT_COUNTS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, BATCH)  # passes are recorded for; 1 is compiled apart
POINT_STEP = 16  # points an object are recorded for a multiple of this


@dataclass(frozen=True)
class DecodedCrop:
    """The answer for one object."""

    iou: float  # the predicted IoU; -inf where there was no pass
    passes: int
    window: tuple[int, int, int, int] | None = None  # x, y, width, height, frame px; None: no mask
    logits: Array | None = None  # (height, width) float32


@dataclass(frozen=True)
class _Passing:
    """M objects in the middle of their passes, all of it on the device; a pass changes the second half in place."""

    first_xy: Tensor  # (M, N, 2) float32: the points of the first pass
    first_labels: Tensor  # (M, N) int64
    xy: Tensor  # those of all others
    labels: Tensor
    opening: Tensor  # (M,) int64: passes without a box of our own
    last: Tensor  # (M,) int64: passes in all, at most

    boxes: Tensor  # (M, 4) float32, frame px
    low_res: Tensor  # (M, 256, 256) float32
    has_low_res: Tensor  # (M,) bool
    iou: Tensor  # (M,) float32
    passes: Tensor  # (M,) int64
    alive: Tensor  # (M,) bool: there is one more pass to come
    finite: Tensor  # () bool: all numbers were
    step: Tensor  # () int64

    def tensors(self) -> list[Tensor]:
        """In the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


@runtime_checkable
class FrameDecoder(Protocol):
    """A network that somebody else runs the passes of: a frame's are asked for together."""

    def decode_frame(
        self, embedding: SamEmbedding, objects: Sequence[ObjectPrompt], rules: PassRules, rng: np.random.Generator
    ) -> list[DecodedCrop]:
        """As `decode_on_device`."""


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
    with reporting_memory("decoding masks"), torch.inference_mode():
        batches = [asked[start : start + BATCH] for start in range(0, len(asked), BATCH)]
        passed = [_run(network, embedding, [prompts[i] for i in batch], rules) for batch in batches]
        facts = download(torch.cat([_facts(network, embedding, p) for p in passed]))  # the first wait
        check_numbers(bool(facts[:, 6].all()))
        certain = np.array([prompts[i].certain for i in asked], bool)
        has_mask = (facts[:, 5] > 0) & (certain | (facts[:, 4] >= rules.iou_threshold))
        windows = [_window(row) if shown else None for row, shown in zip(facts, has_mask, strict=True)]
        crops = _crops(network, embedding, torch.cat([p.low_res for p in passed]), windows)  # the second
    for i, row, window, crop in zip(asked, facts, windows, crops, strict=True):
        answers[i] = DecodedCrop(float(row[4]), int(row[7]), window, crop)
    return answers


def _run(
    network: AsynchronousSamNetwork, embedding: SamEmbedding, prompts: Sequence[ObjectPrompt], rules: PassRules
) -> _Passing:
    """All passes of a batch. An object that is done is computed with the others, and its last answer stays."""
    recordings = network.recordings
    objects = len(prompts) if recordings is None else min(count for count in OBJECT_COUNTS if count >= len(prompts))
    passing, steps = _begin(network, prompts, rules, objects, 1 if recordings is None else POINT_STEP)
    tensors, shared = passing.tensors(), network.shared_tensors(embedding)

    def run_pass(*values: Tensor) -> tuple[Tensor, ...]:
        _one_pass(network, embedding, _Passing(*values[: len(tensors)]), values[len(tensors) :])
        return ()

    if recordings is None:
        for _ in range(steps):
            run_pass(*tensors, *shared)
        return passing
    key = (embedding.frame_size, embedding.input_size)
    recording = recordings.recording(key, run_pass, [*tensors, *shared])
    for _ in range(steps):
        recording.replay()
    found = _Passing(*recording.inputs[: len(tensors)])
    return _Passing(*(value[: len(prompts)].clone() if value.dim() else value.clone() for value in found.tensors()))


def _begin(
    network: AsynchronousSamNetwork, prompts: Sequence[ObjectPrompt], rules: PassRules, objects: int, point_step: int
) -> tuple[_Passing, int]:
    """So many objects, those that were not asked for done at once, before their first pass; how many there are."""
    m, device = len(prompts), network.device
    opening = np.array([2 if prompt.has_negatives else 1 for prompt in prompts] + [1] * (objects - m))
    last = opening + rules.refinement_passes
    boxes = np.full((objects, 4), np.nan, np.float32)
    boxes[:m] = [prompt.box or (np.nan,) * 4 for prompt in prompts]
    low_res = torch.zeros((objects, LOW_RES, LOW_RES), device=device)
    for i, prompt in enumerate(prompts):
        if prompt.low_res is not None:
            low_res[i] = prompt.low_res
    has_low_res = np.array([prompt.low_res is not None for prompt in prompts] + [False] * (objects - m))
    both = [pad_points(prompts, step) for step in (0, 1)]
    n = -(-max(labels.shape[1] for _, labels in both) // point_step) * point_step
    (first_xy, first_labels), (xy, labels) = (_filled_up(*points, objects, n) for points in both)

    def there(values: Array) -> Tensor:
        return upload(values, device)

    passing = _Passing(
        first_xy=there(first_xy),
        first_labels=there(first_labels),
        xy=there(xy),
        labels=there(labels),
        opening=there(opening),
        last=there(last),
        boxes=there(boxes),
        low_res=low_res,
        has_low_res=there(has_low_res),
        iou=torch.full((objects,), -torch.inf, device=device),
        passes=torch.zeros(objects, dtype=torch.int64, device=device),
        alive=there(np.arange(objects) < m),
        finite=torch.ones((), dtype=torch.bool, device=device),
        step=torch.zeros((), dtype=torch.int64, device=device),
    )
    return passing, int(last[:m].max())


def _filled_up(xy: Array, labels: Array, objects: int, n: int) -> tuple[Array, Array]:
    """Points (M, n, 2) and labels (M, n) of so many objects, of fewer of both."""
    whole_xy, whole_labels = np.zeros((objects, n, 2), np.float32), np.full((objects, n), PADDING, np.int64)
    whole_xy[: xy.shape[0], : xy.shape[1]], whole_labels[: xy.shape[0], : xy.shape[1]] = xy, labels
    return whole_xy, whole_labels


def _one_pass(network: AsynchronousSamNetwork, embedding: SamEmbedding, p: _Passing, shared: Sequence[Tensor]) -> None:
    """The next pass of all objects; of the embedding, only the sizes are read."""
    is_first, done = p.step == 0, p.step + 1
    xy, labels = torch.where(is_first, p.first_xy, p.xy), torch.where(is_first, p.first_labels, p.labels)
    made, rated = network.predict_unread(
        shared, embedding, DevicePrompts(xy, labels, p.boxes, p.low_res, p.has_low_res)
    )
    p.finite.logical_and_(((made.isfinite().all(dim=2).all(dim=1) & rated.isfinite()) | ~p.alive).all())
    p.low_res.copy_(torch.where(p.alive[:, None, None], made, p.low_res))
    p.iou.copy_(torch.where(p.alive, rated, p.iou))
    p.has_low_res.logical_or_(p.alive)
    p.passes.add_(p.alive)
    p.alive.logical_and_(done < p.last)
    found, count = _bounds(network, embedding, p.low_res)
    enough, is_refined = count >= MIN_MASK_PX, done >= p.opening
    found = torch.where(enough[:, None], found, torch.nan)
    p.boxes.copy_(torch.where((is_refined & p.alive)[:, None], found, p.boxes))
    p.alive.logical_and_(~is_refined | enough)
    p.step.add_(1)


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


def _facts(network: AsynchronousSamNetwork, embedding: SamEmbedding, passed: _Passing) -> Tensor:
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
    rest = download(torch.cat(pieces)) if pieces else np.zeros(0, np.float32)
    for window in windows:
        if window is None:
            yield None
        else:
            crop, rest = np.split(rest, [window[2] * window[3]])
            yield crop.reshape(window[3], window[2])
