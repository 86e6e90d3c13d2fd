"""What SAM-PT makes of a finished clip: points, logits and label images of every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from nodes.decoder.sam.prompting import PassResults
from nodes.decoder.sam.protocol import SamEmbedding, SamNetwork
from stream.arrays import Array
from stream.geometry import Size, resize_mask
from tools.offline.reinit import Window

Key = tuple[int, int]  # object, frame


@dataclass(frozen=True)
class QueriedObject:
    """An object to follow, and what it begins with: a mask, or points."""

    frame: int
    mask: Array | None = None  # (H, W) uint8
    xy: Array | None = None  # (N, 2) float32, frame px; None: drawn from the mask
    labels: Array | None = None  # (N,) uint8


@dataclass(frozen=True)
class TrackedPoints:
    """The points of an object on a frame."""

    xy: Array  # (N, 2) float32, frame px
    labels: Array  # (N,) uint8
    codes: Array  # (N,) int8, why they are not prompted (codes.py)


@dataclass
class Outcome:
    """M objects in T frames."""

    frames: int
    size: Size  # (H, W) of the frames
    queried: Sequence[QueriedObject]
    network: SamNetwork
    points: dict[Key, TrackedPoints] = field(default_factory=dict)  # by object and frame
    low_res: dict[Key, torch.Tensor] = field(default_factory=dict)  # (256, 256); absent: no mask
    iou: dict[Key, float] = field(default_factory=dict)  # predicted; absent: nothing was prompted
    windows: list[Window] = field(default_factory=list)  # of re-initialisation, forward
    replaced: dict[Key, Array] = field(default_factory=dict)  # (H, W) bool: the mask that the points of
    # that boundary frame were drawn from. The one that counts comes from those points

    def keep(self, frame: int, objects: Sequence[int], results: PassResults) -> None:
        """Take the results for some objects of a frame; they replace earlier ones."""
        for row, m in enumerate(objects):
            self.low_res.pop((m, frame), None)
            self.iou.pop((m, frame), None)
            if results.passes[row] > 0:
                self.iou[m, frame] = float(results.iou[row])
            if results.has_mask[row]:
                self.low_res[m, frame] = results.low_res[row].cpu()

    def take_over(self, other: Outcome, m: int, theirs: int, ours: int) -> None:
        """Take another outcome's results for an object on its frame `theirs` for our frame `ours`."""
        _copy(self.points, (m, ours), other.points, (m, theirs))
        _copy(self.low_res, (m, ours), other.low_res, (m, theirs))
        _copy(self.iou, (m, ours), other.iou, (m, theirs))

    def logits(self, m: int, frame: int, size: Size | None = None) -> Array:
        """(H, W) float32 of an object, at `size` or the frames' own; -inf where it has no mask."""
        output_size = size or self.size
        low_res = self.low_res.get((m, frame))
        if low_res is None:
            return np.full(output_size, -np.inf, np.float32)
        logits = self.network.upscale(low_res[None].to(self.network.device), self._sizes())
        if output_size != self.size:
            logits = interpolate(logits[:, None], output_size, mode="bilinear", align_corners=False)[:, 0]
        return np.asarray(logits[0].cpu().numpy())

    def mask(self, m: int, frame: int) -> Array:
        """(H, W) bool of an object, whatever the logits of the others are."""
        return np.asarray(self.logits(m, frame) > 0)

    def label_image(self, frame: int, size: Size | None = None) -> Array:
        """(H, W) uint8: 0 background, m + 1 object m; the largest logit wins where it is positive.

        An object is there from its own frame on, on which its mask is the given one.
        """
        output_size = size or self.size
        best, labels = np.zeros(output_size, np.float32), np.zeros(output_size, np.uint8)
        for m, queried in enumerate(self.queried):
            if frame < queried.frame:
                continue
            if frame == queried.frame and queried.mask is not None:
                logits = np.where(resize_mask(queried.mask, output_size) != 0, np.inf, -np.inf)
            else:
                logits = self.logits(m, frame, size)
            labels[logits > best] = m + 1
            best = np.maximum(best, logits)
        return labels

    def _sizes(self) -> SamEmbedding:
        """An embedding without features: only the sizes in it are needed to upscale."""
        side = self.network.side
        scale = side / max(self.size)
        size_inside = (int(self.size[0] * scale + 0.5), int(self.size[1] * scale + 0.5))
        return SamEmbedding(self.size, size_inside, side, None)


def _copy(ours: dict[Key, Any], to: Key, theirs: dict[Key, Any], source: Key) -> None:
    ours.pop(to, None)
    if source in theirs:
        ours[to] = theirs[source]
