"""Visible points in, SAM's logits out: the passes that turn the points of every object of a frame into masks.

Paper, section 3.2, step 3. Per object: the positive points alone; then all points, with the logits of the pass before
as mask input (an object without negative points skips this one); then `refinement_passes` times all points, those
logits and the box of their mask, as long as that mask has MIN_MASK_PX. The visible positive points of all other objects
count as negative ones. All objects of a frame share each pass: it costs little more for five objects than for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from nodes.decoder.sam.protocol import LOW_RES, PADDING, SamEmbedding, SamNetwork, SamPrompts
from stream.arrays import Array
from stream.messages import VISIBLE

MIN_MASK_PX = 2  # a smaller mask has no box: refinement stops
UPSCALED_PX = 1 << 24  # at once: 64 MiB of logits


@dataclass(frozen=True)
class ObjectPrompt:
    """What SAM is prompted with for one object on one frame."""

    xy: Array  # (N, 2) float32, frame px, visible points
    labels: Array  # (N,) uint8, 1 positive, 0 negative
    has_negatives: bool = False  # also where all of them are hidden: then a pass with positives alone comes first
    box: tuple[float, float, float, float] | None = None  # x1, y1, x2, y2, frame px: the user's, until there is a mask
    low_res: torch.Tensor | None = None  # (256, 256) float32: the mask that the user gave, as mask input
    certain: bool = False  # the user's word: the IoU threshold does not apply
    only_for_others: bool = False  # its mask was given: its points are negative ones of the others

    @property
    def enough(self) -> bool:
        """Whether there is anything to find an object by: negative points alone say what it is not."""
        return bool((self.labels == 1).any()) or self.box is not None or self.low_res is not None


@dataclass(frozen=True)
class PassRules:
    """How the passes are run; the defaults are SAM-PT's (paper, section 4.2)."""

    refinement_passes: int = 12
    iou_threshold: float = 0.7  # a mask whose predicted IoU is lower is dropped
    others_as_negatives: bool = True
    max_others: int | None = None  # of those negative points, at most so many, a random choice; None: all
    prompt_by_negatives: bool = False  # the reference prompts an object of which only negative points are visible


@dataclass(frozen=True)
class PassResults:
    """The answer for M objects."""

    low_res: torch.Tensor  # (M, 256, 256) float32, on the device: logits of the last pass; 0 where there was none
    iou: Array  # (M,) float32: its predicted IoU; -inf where there was no pass
    has_mask: Array  # (M,) bool: there was a pass, and the IoU is not below the threshold
    passes: Array  # (M,) int


def run_passes(
    network: SamNetwork,
    embedding: SamEmbedding,
    objects: Sequence[ObjectPrompt],
    rules: PassRules,
    rng: np.random.Generator,
) -> PassResults:
    """Run the passes for all objects of a frame together."""
    prompts = with_others(objects, rules, rng)
    m = len(prompts)
    low_res = torch.zeros((m, LOW_RES, LOW_RES), device=network.device)
    has_low_res = np.array([prompt.low_res is not None for prompt in prompts], bool)
    for i, prompt in enumerate(prompts):
        if prompt.low_res is not None:
            low_res[i] = prompt.low_res
    boxes = np.array([prompt.box or (np.nan,) * 4 for prompt in prompts], np.float32).reshape(m, 4)
    iou, passes = np.full(m, -np.inf, np.float32), np.zeros(m, np.int64)
    opening = np.array([2 if prompt.has_negatives else 1 for prompt in prompts])  # passes without a box of our own
    active = np.flatnonzero([is_prompted(*both, rules) for both in zip(objects, prompts, strict=True)])
    step = 0
    while len(active):
        xy, labels = pad_points([prompts[i] for i in active], step)
        answer = network.predict(
            embedding,
            SamPrompts(
                xy,
                labels,
                boxes=boxes[active],
                low_res=low_res[active] if has_low_res[active].any() else None,
                has_low_res=has_low_res[active],
            ),
        )
        low_res[active], iou[active], has_low_res[active] = answer.low_res, answer.iou, True
        step += 1
        passes[active] = step
        active = active[step < opening[active] + rules.refinement_passes]
        refined = active[step >= opening[active]]
        if len(refined):
            boxes[refined] = mask_boxes(network, embedding, low_res[refined])
            active = active[(step < opening[active]) | ~np.isnan(boxes[active, 0])]
    certain = np.array([prompt.certain for prompt in prompts], bool)
    has_mask = (passes > 0) & (certain | (iou >= rules.iou_threshold))
    return PassResults(low_res, iou, has_mask, passes)


def visible(xy: Array, visibility: Array, size: tuple[int, int]) -> Array:
    """(N,) bool: which tracked points are prompted. The rest may lie on whatever hides the object."""
    height, width = size
    inside = (xy >= 0).all(axis=1) & (xy[:, 0] <= width - 1) & (xy[:, 1] <= height - 1)
    return np.asarray((visibility > VISIBLE) & inside)


def with_others(objects: Sequence[ObjectPrompt], rules: PassRules, rng: np.random.Generator) -> list[ObjectPrompt]:
    """Each object with the positive points of all others appended as negative ones."""
    if not rules.others_as_negatives or len(objects) < 2:
        return list(objects)
    positives = [prompt.xy[prompt.labels == 1] for prompt in objects]
    prompts = []
    for i, prompt in enumerate(objects):
        others = np.concatenate([xy for j, xy in enumerate(positives) if j != i])
        if rules.max_others is not None and len(others) > rules.max_others:
            others = others[np.sort(rng.choice(len(others), rules.max_others, replace=False))]
        labels = np.concatenate([prompt.labels, np.zeros(len(others), np.uint8)])
        prompts.append(replace(prompt, xy=np.concatenate([prompt.xy, others]), labels=labels))
    return prompts


def mask_boxes(network: SamNetwork, embedding: SamEmbedding, low_res: torch.Tensor) -> Array:
    """(B, 4) float32, frame px: x_min, y_min, x_max, y_max of each mask at frame size; NaN below MIN_MASK_PX."""
    boxes = []
    for part in torch.split(low_res, at_once(embedding.frame_size)):
        rows, columns, enough = _occupied(network.upscale(part, embedding) > 0)
        left, top = columns.argmax(axis=1), rows.argmax(axis=1)
        right, bottom = (flags.shape[1] - 1 - flags[:, ::-1].argmax(axis=1) for flags in (columns, rows))
        corners = np.stack([left, top, right, bottom], axis=1).astype(np.float32)
        boxes.append(np.where(enough[:, None], corners, np.float32(np.nan)))
    return np.concatenate(boxes)


def at_once(size: tuple[int, int]) -> int:
    """How many objects' logits are held at frame size (H, W) at once."""
    return max(1, UPSCALED_PX // (size[0] * size[1]))


def _occupied(masks: torch.Tensor) -> tuple[Array, Array, Array]:
    """Which rows (B, H) and columns (B, W) hold a pixel of masks (B, H, W), and whether they have enough (B,)."""
    if masks.device.type == "cpu":  # NumPy takes a tenth of the time
        flags = masks.numpy()
        enough = np.array([np.count_nonzero(mask) >= MIN_MASK_PX for mask in flags])
        return np.asarray(flags.any(axis=2)), np.asarray(flags.any(axis=1)), enough
    counts = masks.flatten(1).sum(dim=1)
    parts = [masks.any(dim=2), masks.any(dim=1), counts[:, None] >= MIN_MASK_PX]
    flags = torch.cat(parts, dim=1).cpu().numpy()  # the only thing that leaves the device between two passes
    height = masks.shape[1]
    return flags[:, :height], flags[:, height:-1], flags[:, -1]


def is_prompted(own: ObjectPrompt, whole: ObjectPrompt, rules: PassRules) -> bool:
    """Whether SAM is asked for an object, by its own points and by all of them (with those of the others)."""
    by_negatives = rules.prompt_by_negatives and len(whole.xy) > 0
    return not own.only_for_others and (own.enough or by_negatives)


def _points(prompt: ObjectPrompt, step: int) -> tuple[Array, Array]:
    """The points of one object in one of its passes."""
    if step == 0 and prompt.has_negatives:
        return prompt.xy[prompt.labels == 1], prompt.labels[prompt.labels == 1]
    return prompt.xy, prompt.labels


def pad_points(prompts: Sequence[ObjectPrompt], step: int) -> tuple[Array, Array]:
    """xy (B, N, 2) float32 and labels (B, N) int64 of the objects' points in one of their passes."""
    points = [_points(prompt, step) for prompt in prompts]
    longest = max(len(labels) for _, labels in points)
    xy = np.zeros((len(points), longest, 2), np.float32)
    labels = np.full((len(points), longest), PADDING, np.int64)
    for row, (at, label) in enumerate(points):
        xy[row, : len(label)], labels[row, : len(label)] = at, label
    return xy, labels
