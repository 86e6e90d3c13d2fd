"""One frame as `lite` sees it: the picture, and what its objects share: dense flow back, the background's motion."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np

from nodes.decoder.mask_model import Window
from stream import geometry
from stream.arrays import Array

FLOW_PX = 420_000  # of the picture that flow is computed in: a frame of 854x480 as it is, a larger one shrunk
MIN_FLOW_SIDE = 64  # px; DIS starts at 1/8 of it
GROUND_POINTS = 1200  # that the background's motion is fitted to
GROUND_AGREE_PX = 2.5  # px of the flow picture
MIN_GROUND = 12
AROUND_PX = 32  # px of the flow picture, round what is attended to
WHOLE_SHARE = 0.8  # of the frame: attending to more than this is attending to all of it


class Picture:
    """A frame; `before` is the flow picture of the last one, None on the first."""

    def __init__(self, rgb: Array, before: Array | None) -> None:
        self.rgb = rgb
        height, width = rgb.shape[:2]
        shrink = min(1.0, float(np.sqrt(FLOW_PX / (height * width))))
        size = (max(MIN_FLOW_SIDE, round(width * shrink)), max(MIN_FLOW_SIDE, round(height * shrink)))
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        # (fh, fw) uint8: what flow is computed from
        self.gray = gray if size == (width, height) else cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        if before is not None and before.shape != self.gray.shape:  # the frame size has changed
            before = cv2.resize(before, size, interpolation=cv2.INTER_AREA)
        self.before = before
        self.scale = np.array([size[0] / width, size[1] / height], np.float32)  # flow px a frame px, in x and y
        # frame px that one px of the flow picture stands for: motion is judged in its px, whatever the frame size
        self.unit = float(1 / self.scale.mean())
        self.part: Window = (0, 0, *size)  # of the flow picture, that flow is computed in
        self.ground = geometry.IDENTITY  # (2, 3): where the background of each place was on the last frame, frame px

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) px."""
        return self.rgb.shape[0], self.rgb.shape[1]

    def attend(self, windows: list[Window]) -> None:
        """Say where flow will be asked for, before it is: it need not be known elsewhere."""
        x1, y1 = min(w[0] for w in windows), min(w[1] for w in windows)
        x2, y2 = max(w[0] + w[2] for w in windows), max(w[1] + w[3] for w in windows)
        pad = round(AROUND_PX * self.unit)  # what of the surroundings is seen to move with them is the background
        corners = np.array([x1 - pad, y1 - pad, x2 + pad, y2 + pad]) * np.tile(self.scale, 2)
        low, high = np.floor(corners[:2]).astype(int), np.ceil(corners[2:]).astype(int)
        side = np.maximum(high - low, MIN_FLOW_SIDE)
        limit = np.array(self.gray.shape[::-1])
        at = np.clip(low, 0, np.maximum(limit - side, 0))
        end = np.minimum(at + side, limit)
        if np.prod(end - at) < WHOLE_SHARE * np.prod(limit):
            self.part = (int(at[0]), int(at[1]), int(end[0] - at[0]), int(end[1] - at[1]))

    @cached_property
    def vectors(self) -> Array:
        """(fh, fw, 2) float32, px of the flow picture: pixel x of its `part` was at x + vectors(x) in the last one."""
        x, y, width, height = self.part
        if self.before is None:
            return np.zeros((height, width, 2), np.float32)
        # ULTRAFAST is as good for masks as MEDIUM at a ninth of the cost; FAST is worse: it smooths over motion edges
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        now, before = (np.ascontiguousarray(g[y : y + height, x : x + width]) for g in (self.gray, self.before))
        return np.asarray(dis.calc(now, before, None))

    def flow(self, window: Window, size: tuple[int, int]) -> Array:
        """(h, w, 2) float32, frame px: the flow of a window at working size."""
        x, y, width, height = window
        (sx, sy), kx, ky = self.scale.tolist(), width / size[1], height / size[0]
        left, top = self.part[0] + 0.5, self.part[1] + 0.5
        to_flow = np.array(
            [[sx * kx, 0, sx * (x + 0.5 * kx) - left], [0, sy * ky, sy * (y + 0.5 * ky) - top]], np.float32
        )
        # averaging over areas costs five times as much and changes no mask: flow is smooth at this scale
        vectors = cv2.warpAffine(
            self.vectors,
            to_flow,
            size[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(vectors if sx == sy == 1 else vectors / self.scale)

    def find_ground(self, owned: list[Callable[[Array, Array], Array]]) -> Array:
        """(2, 3) the background's motion: the affine map, to the last frame, that most of what nobody owns agrees on.

        Each of `owned` answers, for places x, y of the last frame, with one object's chance to be there.
        """
        (sx, sy), (left, top, fw, fh) = self.scale.tolist(), self.part
        part = (round(left / sx), round(top / sy), round(fw / sx), round(fh / sy))
        step = max(1.0, float(np.sqrt(part[2] * part[3] / GROUND_POINTS)))
        size = (max(4, round(part[3] / step)), max(4, round(part[2] / step)))
        x, y = pixels(part, size)
        flow = self.flow(part, size)
        from_x, from_y = x + flow[..., 0], y + flow[..., 1]
        free = np.ones(size, bool)
        for chance in owned:
            free &= chance(from_x, from_y) < 0.1
        if free.sum() < MIN_GROUND:
            return geometry.IDENTITY
        now = np.stack([x[free], y[free]], axis=1)
        fitted, _ = cv2.estimateAffine2D(
            now,
            np.stack([from_x[free], from_y[free]], axis=1),
            ransacReprojThreshold=GROUND_AGREE_PX * self.unit,
            maxIters=60,
            confidence=0.99,
        )
        sane = fitted is not None and 0.5 < geometry.scale_of(fitted) < 2
        return np.asarray(fitted) if sane else geometry.IDENTITY


def pixels(window: Window, size: tuple[int, int]) -> tuple[Array, Array]:
    """x, y (h, w) float32, frame px, of a window's pixels at working size."""
    columns, rows = axes(window, size)
    return np.broadcast_to(columns, size), np.broadcast_to(rows, size)


def axes(window: Window, size: tuple[int, int]) -> tuple[Array, Array]:
    """As `pixels`, x of the columns (1, w) and y of the rows (h, 1)."""
    x, y, width, height = window
    columns = (np.arange(size[1], dtype=np.float32) + 0.5) * np.float32(width / size[1]) + np.float32(x - 0.5)
    rows = (np.arange(size[0], dtype=np.float32) + 0.5) * np.float32(height / size[0]) + np.float32(y - 0.5)
    return columns[None], rows[:, None]


def grow(window: Window, pad: int) -> Window:
    """The window with `pad` px more on each side."""
    x, y, width, height = window
    return x - pad, y - pad, width + 2 * pad, height + 2 * pad


def clip_window(window: Window, size: tuple[int, int]) -> Window:
    """The part of a window inside the frame (H, W), moved in from the edge so that a px a side remains."""
    x, y, width, height = window
    x2, y2 = min(max(x + width, 1), size[1]), min(max(y + height, 1), size[0])
    x1, y1 = max(min(x, x2 - 1), 0), max(min(y, y2 - 1), 0)
    return x1, y1, x2 - x1, y2 - y1
