"""One frame as `lite` sees it: the picture, its gray, and the dense flow back to the frame before."""

from __future__ import annotations

import cv2
import numpy as np

from stream.messages import Array

MIN_FLOW_PX = 64  # side of the smallest region that flow is computed in: DIS starts at 1/8 of it


class Flow:
    """Dense flow inside a region of the frame: pixel x of this frame was at x + flow(x) in the one before."""

    def __init__(self, before: Array, now: Array, region: tuple[int, int, int, int]) -> None:
        self.x, self.y, width, height = region
        part = (slice(self.y, self.y + height), slice(self.x, self.x + width))
        # ULTRAFAST is as good for masks as MEDIUM at a ninth of the cost; FAST is worse: it smooths over motion edges
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.vectors = dis.calc(  # (height, width, 2) float32 px
            np.ascontiguousarray(now[part]), np.ascontiguousarray(before[part]), None
        )

    def at_size(self, window: tuple[int, int, int, int], size: tuple[int, int]) -> Array:
        """(h, w, 2) float32: the flow of a window inside the region, shrunk to a working size; px of the frame."""
        x, y, width, height = window
        part = self.vectors[y - self.y : y - self.y + height, x - self.x : x - self.x + width]
        # flow is smooth at this scale; averaging it over areas costs five times as much and changes no mask
        return np.asarray(cv2.resize(part, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


class Picture:
    """A frame; `before` is the gray of the last one, None on the first."""

    def __init__(self, rgb: Array, before: Array | None) -> None:
        self.rgb = rgb
        self.gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        self.before = self.gray if before is None else before

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) px."""
        return self.rgb.shape[0], self.rgb.shape[1]

    def flow(self, windows: list[tuple[int, int, int, int]]) -> list[Flow]:
        """The flow for each window; one computation for all where the windows lie close together."""
        regions = [clip_window(grow(w, 0), self.size) for w in windows]
        if not regions:
            return []
        x1, y1 = min(r[0] for r in regions), min(r[1] for r in regions)
        x2, y2 = max(r[0] + r[2] for r in regions), max(r[1] + r[3] for r in regions)
        if (x2 - x1) * (y2 - y1) <= sum(r[2] * r[3] for r in regions):
            return [Flow(self.before, self.gray, (x1, y1, x2 - x1, y2 - y1))] * len(regions)
        return [Flow(self.before, self.gray, r) for r in regions]


def grow(window: tuple[int, int, int, int], pad: int) -> tuple[int, int, int, int]:
    """The window with `pad` px more on each side, and at least MIN_FLOW_PX a side."""
    x, y, width, height = window
    px, py = (pad + max(0, (MIN_FLOW_PX - n - 2 * pad + 1) // 2) for n in (width, height))
    return x - px, y - py, width + 2 * px, height + 2 * py


def clip_window(window: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of a window inside the frame (H, W), moved in from the edge so that MIN_FLOW_PX a side remain."""
    x, y, width, height = window
    x2, y2 = min(x + width, size[1]), min(y + height, size[0])
    x1, y1 = max(min(x, x2 - MIN_FLOW_PX), 0), max(min(y, y2 - MIN_FLOW_PX), 0)
    x2, y2 = min(max(x2, x1 + MIN_FLOW_PX), size[1]), min(max(y2, y1 + MIN_FLOW_PX), size[0])
    return x1, y1, x2 - x1, y2 - y1
