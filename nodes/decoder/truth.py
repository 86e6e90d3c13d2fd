"""How well a clip is followed, by its truth: label images and masks in, the mean IoU over visible objects out."""

from __future__ import annotations

import numpy as np

from stream.arrays import Array
from stream.crops import uncrop_mask
from stream.messages import Masks, ObjectMask

MIN_VISIBLE_PX = 50  # an object of fewer true px counts as hidden


class TruthScore:
    """The running mean IoU over objects that are visible in the truth; an object that is missed counts 0."""

    def __init__(self) -> None:
        self.labels: dict[int, int] = {}  # object id -> the truth label that it was matched with
        self.total = 0.0
        self.count = 0  # object-frames scored

    @property
    def mean_iou(self) -> float | None:
        """0..1; None before anything was scored."""
        return self.total / self.count if self.count else None

    def step(self, truth: Array, masks: Masks) -> None:
        """Score one frame: the truth's label image (H, W), and the masks published for it."""
        for o in masks.objects:
            if o.object_id not in self.labels and o.area:
                self._match(truth, masks.size, o)
        for o in masks.objects:
            label = self.labels.get(o.object_id, o.object_id)
            true = truth == label
            visible = int(np.count_nonzero(true))
            if visible < MIN_VISIBLE_PX:
                continue
            x, y, width, height = o.bbox
            shared = int(np.count_nonzero(true[y : y + height, x : x + width] & (o.mask != 0)))
            self.total += shared / (visible + o.area - shared)
            self.count += 1

    def _match(self, truth: Array, size: tuple[int, int], o: ObjectMask) -> None:
        """Match an object with the label that its first mask overlaps most; its own id wins a tie."""
        under = truth[uncrop_mask(o.bbox, o.mask, size) != 0]
        counts = np.bincount(under, minlength=256)
        counts[0] = 0
        if not counts.any():
            return
        ties = np.flatnonzero(counts == counts.max())
        self.labels[o.object_id] = o.object_id if o.object_id in ties else int(ties[0])
