"""What SAM-PT has to say of a finished clip: points, logits and label images of every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from nodes.decoder.sam.prompting import PassResults
from nodes.decoder.sam.protocol import SamBackend, SamEmbedding
from stream.arrays import Array
from stream.geometry import Size, resize_mask
from tools.offline.reinit import Window

Key = tuple[int, int]  # object, frame


@dataclass(frozen=True)
class Given:
    """An object as it was asked for: by a mask, or by points."""

    frame: int
    mask: Array | None = None  # (H, W) uint8
    xy: Array | None = None  # (N, 2) float32, frame px; None: drawn from the mask
    labels: Array | None = None  # (N,) uint8


@dataclass(frozen=True)
class Tracked:
    """The points of an object on a frame."""

    xy: Array  # (N, 2) float32, frame px
    labels: Array  # (N,) uint8
    codes: Array  # (N,) int8, why they are not prompted (codes.py)


@dataclass
class Outcome:
    """M objects in T frames."""

    frames: int
    size: Size  # (H, W) of the frames
    given: Sequence[Given]
    backend: SamBackend
    points: dict[Key, Tracked] = field(default_factory=dict)  # by object and frame
    low_res: dict[Key, torch.Tensor] = field(default_factory=dict)  # (256, 256); absent: no mask
    iou: dict[Key, float] = field(default_factory=dict)  # predicted; absent: nothing was prompted
    windows: list[Window] = field(default_factory=list)  # of re-initialisation, forward
    replaced: dict[Key, Array] = field(default_factory=dict)  # (H, W) bool: the mask that the points of
    # that boundary frame were drawn from. The one that counts comes from those points

    def keep(self, frame: int, objects: Sequence[int], decoded: PassResults) -> None:
        """Take the answer for some objects of a frame, over what was known of them."""
        for row, m in enumerate(objects):
            self.low_res.pop((m, frame), None)
            self.iou.pop((m, frame), None)
            if decoded.passes[row] > 0:
                self.iou[m, frame] = float(decoded.iou[row])
            if decoded.kept[row]:
                self.low_res[m, frame] = decoded.low_res[row].cpu()

    def take_over(self, other: Outcome, m: int, theirs: int, ours: int) -> None:
        """Take what another outcome says of an object on its frame `theirs` for our frame `ours`."""
        _move(self.points, (m, ours), other.points, (m, theirs))
        _move(self.low_res, (m, ours), other.low_res, (m, theirs))
        _move(self.iou, (m, ours), other.iou, (m, theirs))

    def logits(self, m: int, frame: int, size: Size | None = None) -> Array:
        """(H, W) float32 of an object, at `size` or the frames' own; -inf where it has no mask."""
        wanted = size or self.size
        low_res = self.low_res.get((m, frame))
        if low_res is None:
            return np.full(wanted, -np.inf, np.float32)
        found = self.backend.upscale(low_res[None].to(self.backend.device), self._sizes())
        if wanted != self.size:
            found = interpolate(found[:, None], wanted, mode="bilinear", align_corners=False)[:, 0]
        return np.asarray(found[0].cpu().numpy())

    def mask(self, m: int, frame: int) -> Array:
        """(H, W) bool of an object, before the others have their say."""
        return np.asarray(self.logits(m, frame) > 0)

    def label_image(self, frame: int, size: Size | None = None) -> Array:
        """(H, W) uint8: 0 background, m + 1 object m; the largest logit wins where it is positive.

        An object is there from its own frame on, on which its mask is the given one.
        """
        wanted = size or self.size
        best, labels = np.zeros(wanted, np.float32), np.zeros(wanted, np.uint8)
        for m, given in enumerate(self.given):
            if frame < given.frame:
                continue
            if frame == given.frame and given.mask is not None:
                found = np.where(resize_mask(given.mask, wanted) != 0, np.inf, -np.inf)
            else:
                found = self.logits(m, frame, size)
            labels[found > best] = m + 1
            best = np.maximum(best, found)
        return labels

    def _sizes(self) -> SamEmbedding:
        """An embedding without features: only the sizes in it are needed to upscale."""
        side = self.backend.side
        scale = side / max(self.size)
        shown = (int(self.size[0] * scale + 0.5), int(self.size[1] * scale + 0.5))
        return SamEmbedding(self.size, shown, side, None)


def _move(mine: dict[Key, Any], to: Key, its: dict[Key, Any], at: Key) -> None:
    mine.pop(to, None)
    if at in its:
        mine[to] = its[at]
