"""A frame's embedding in, the masks of what may be objects out: SAM's automatic mask generation, without its crops.

A grid of points is prompted one point at a time, and each gives three masks: a whole, a part and a part of it (HQ-SAM:
the best of them). Those that SAM rates high and that hardly change with the threshold stay, and of those with nearly
the same box the best one (paper, section 4: video instance segmentation, whose numbers are the defaults here).

So far these are the masks of SAM's own generator. But objects of a stream never overlap, and each is to be followed: a
mask that mostly lies on better ones, or on objects that are followed already, is left out, and one of a few px or of
nearly the whole frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from nodes.decoder.mask_model import Window
from nodes.decoder.sam import prompting
from nodes.decoder.sam.protocol import LOW_RES, POSITIVE, SamEmbedding, SamNetwork, SamPrompts
from stream.arrays import Array
from stream.crops import crop_mask
from stream.reports import Proposal

AT_ONCE = 64  # points decoded together


@dataclass(frozen=True)
class GeneratorRules:
    """Which points are prompted, and which masks are taken for objects."""

    side: int = 32  # points in a row of the grid, and rows
    iou: float = 0.88  # predicted IoU of a mask, more than that; 0: any
    stability: float = 0.95  # IoU of the mask cut at logit +offset with the one cut at -offset, at least
    offset: float = 1.0
    box_iou: float = 0.7  # of two masks whose boxes are more alike than this, the better one stays
    min_area_px: int = 25
    max_area: float = 0.9  # share of the frame
    max_covered: float = 0.5  # share of a mask that may lie on objects followed already, and on better masks


PAPER = GeneratorRules()


@dataclass(frozen=True)
class Candidate:
    """A mask that is good by itself."""

    bbox: Window
    bits: Array  # (ceil(width * height / 8),) uint8: the crop, packed, for there may be hundreds of them
    area: int  # px
    score: float  # predicted IoU, as SAM says it: it may be above 1

    @property
    def mask(self) -> Array:
        """(height, width) uint8, 0 or 1: the crop of the bbox."""
        _, _, width, height = self.bbox
        return np.unpackbits(self.bits, count=width * height).reshape(height, width)


class MaskGenerator:
    """The search for objects on one frame, some points at a time, so that other work may come between."""

    def __init__(
        self,
        network: SamNetwork,
        encode: Callable[[], SamEmbedding],
        covered: Array | None,
        most: int,
        rules: GeneratorRules = PAPER,
    ) -> None:
        self.network = network
        self.encode = encode  # called once, in the first step
        self.covered = covered  # (H, W) bool: where objects are followed already; None: nowhere
        self.most = most
        self.rules = rules
        self.embedding: SamEmbedding | None = None
        self.left = np.zeros((0, 2), np.float32)  # (N, 2) points that are still to be prompted, frame px
        self.candidates: list[Candidate] = []

    def step(self) -> bool:
        """Encode the frame, or prompt the next points; True when there are none left. ModelError as the network."""
        if self.embedding is None:
            self.embedding = self.encode()
            self.left = grid(self.rules.side, self.embedding.frame_size)
            return False
        n = min(AT_ONCE, prompting.at_once(self.embedding.frame_size))
        points, self.left = self.left[:n], self.left[n:]
        self.candidates += confident_masks(self.network, self.embedding, points, self.rules)
        return not len(self.left)

    def found(self) -> tuple[Proposal, ...]:
        """The best of what was found so far, best first."""
        if self.embedding is None:
            return ()
        chosen = choose(self.candidates, self.embedding.frame_size, self.covered, self.most, self.rules)
        return tuple(
            Proposal(bbox=c.bbox, bits=c.bits, score=min(max(c.score, 0.0), 1.0), inside=deepest(c.bbox, c.mask))
            for c in chosen
        )


def propose(
    network: SamNetwork, embedding: SamEmbedding, covered: Array | None, most: int, rules: GeneratorRules = PAPER
) -> tuple[Proposal, ...]:
    """Up to `most` objects of a frame, best first; `covered` is (H, W) bool, where objects are followed already."""
    generator = MaskGenerator(network, lambda: embedding, covered, most, rules)
    while not generator.step():
        pass
    return generator.found()


def grid(side: int, size: tuple[int, int]) -> Array:
    """(side * side, 2) float32, frame px: the centres of as many equal cells of a frame (H, W), row by row."""
    share = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = np.meshgrid(share * size[1], share * size[0])
    return np.stack([x.ravel(), y.ravel()], axis=1)


def confident_masks(
    network: SamNetwork, embedding: SamEmbedding, points: Array, rules: GeneratorRules
) -> list[Candidate]:
    """The masks of points (N, 2), each prompted alone, that SAM rates high, that are stable and of a fair size."""
    n = len(points)
    prompts = SamPrompts(
        xy=points[:, None],
        labels=np.full((n, 1), POSITIVE, np.int64),
        boxes=np.full((n, 4), np.nan, np.float32),
        low_res=None,
        has_low_res=np.zeros(n, bool),
        multimask=True,
    )
    answer = network.predict(embedding, prompts)
    assert answer.low_res.shape == (len(answer.iou), LOW_RES, LOW_RES), answer.low_res.shape
    good = np.flatnonzero((answer.iou > rules.iou) | (rules.iou <= 0))
    candidates: list[Candidate] = []
    most = prompting.at_once(embedding.frame_size)
    for start in range(0, len(good), most):
        part = good[start : start + most]
        low_res = answer.low_res[torch.from_numpy(part).to(answer.low_res.device)]
        candidates += stable(network.upscale(low_res, embedding), answer.iou[part], rules)
    return candidates


def stable(logits: torch.Tensor, iou: Array, rules: GeneratorRules) -> list[Candidate]:
    """The masks of logits (B, H, W) that hardly change with the threshold and are of a fair size."""
    narrow, plain, wide = (_areas(logits, at) for at in (rules.offset, 0.0, -rules.offset))
    most = rules.max_area * logits.shape[1] * logits.shape[2]
    # the narrow mask lies inside the wide one, so that their areas tell their IoU
    fair = (narrow >= rules.stability * wide) & (plain >= max(rules.min_area_px, 1)) & (plain <= most)
    candidates = []
    for i in np.flatnonzero(fair):
        bbox, mask = crop_mask((logits[i] > 0).cpu().numpy())
        candidates.append(Candidate(bbox, np.packbits(mask), int(plain[i]), float(iou[i])))
    return candidates


def choose(
    candidates: list[Candidate], size: tuple[int, int], covered: Array | None, most: int, rules: GeneratorRules
) -> list[Candidate]:
    """The best `most`, best first, that neither have the box of a better one nor lie on what is taken."""
    taken = np.zeros(size, bool) if covered is None else covered.astype(bool)
    ranked = sorted(candidates, key=lambda c: -c.score)
    chosen: list[Candidate] = []
    boxes = np.array([c.bbox for c in ranked], np.float64).reshape(-1, 4)
    boxes[:, 2:] -= 1  # SAM's boxes end in the middle of the last pixels, and in its NMS they are as large as that
    for i in suppress(boxes, rules.box_iou):
        if len(chosen) == most:
            break
        x, y, width, height = ranked[i].bbox
        mask, under = ranked[i].mask != 0, taken[y : y + height, x : x + width]
        if np.count_nonzero(mask & under) <= rules.max_covered * ranked[i].area:
            chosen.append(ranked[i])
            under |= mask
    return chosen


def suppress(boxes: Array, most: float) -> list[int]:
    """Indices of boxes (N, 4: x, y, width, height; best first) that overlap no better one by an IoU above `most`."""
    left, top = boxes[:, 0], boxes[:, 1]
    right, bottom, area = left + boxes[:, 2], top + boxes[:, 3], boxes[:, 2] * boxes[:, 3]
    rest, best = np.arange(len(boxes)), []
    while len(rest):
        i, rest = int(rest[0]), rest[1:]
        best.append(i)
        width = np.minimum(right[i], right[rest]) - np.maximum(left[i], left[rest])
        height = np.minimum(bottom[i], bottom[rest]) - np.maximum(top[i], top[rest])
        shared = width.clip(0) * height.clip(0)
        rest = rest[shared <= most * (area[i] + area[rest] - shared)]
    return best


def deepest(bbox: Window, crop: Array) -> tuple[float, float]:
    """(x, y) frame px: the pixel of a mask that is furthest from its edge."""
    depth = cv2.distanceTransform(np.pad(crop, 1), cv2.DIST_L2, 5)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(bbox[0] + int(column) - 1), float(bbox[1] + int(row) - 1)


def _areas(logits: torch.Tensor, above: float) -> Array:
    """(B,) px of logits (B, H, W) above a value."""
    areas: Array = (logits > above).flatten(1).sum(dim=1).cpu().numpy()
    return areas
