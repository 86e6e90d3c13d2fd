"""A frame in, what all its objects share out: dense flow back to the last frame, and the motion of the background."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce

import cv2
import numpy as np

from nodes.decoder.mask_model import Window
from stream import geometry
from stream.arrays import Array

FLOW_PX = 420_000  # of the image that flow is computed in: a frame of 854x480 as it is, a larger one shrunk
MIN_FLOW_SIDE = 64  # px; DIS starts at 1/8 of it
BACKGROUND_POINTS = 1200  # that the background's motion is fitted to
BACKGROUND_AGREE_PX = 2.5  # px of the flow image: a point that the fit misses by more is an outlier
MIN_BACKGROUND_POINTS = 12
BACKGROUND_SCALES = (0.5, 2.0)  # a fit that shrinks or enlarges the background by more is wrong
AROUND_PX = 32  # px of the flow image, around the windows that flow is limited to
LIMIT_SHARE = 0.8  # of the frame: flow that is limited to more than this is computed for all of it

Probability = Callable[[Array, Array], Array]  # x, y of the last frame -> an object's probability to be there


class FrameAnalysis:
    """A frame; `previous_gray` is the flow image of the last one, None on the first."""

    def __init__(self, rgb: Array, previous_gray: Array | None) -> None:
        self.rgb = rgb
        height, width = rgb.shape[:2]
        shrink = min(1.0, float(np.sqrt(FLOW_PX / (height * width))))
        size = (max(MIN_FLOW_SIDE, round(width * shrink)), max(MIN_FLOW_SIDE, round(height * shrink)))
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        # (fh, fw) uint8, the flow image: what flow is computed from
        self.gray = gray if size == (width, height) else cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        if previous_gray is not None and previous_gray.shape != self.gray.shape:  # the frame size has changed
            previous_gray = cv2.resize(previous_gray, size, interpolation=cv2.INTER_AREA)
        self.previous_gray = previous_gray
        self.flow_scale = np.array([size[0] / width, size[1] / height], np.float32)  # flow px a frame px, in x and y
        # frame px that one px of the flow image stands for: motion is judged in its px, whatever the frame size
        self.flow_px = float(1 / self.flow_scale.mean())
        self.flow_window: Window = (0, 0, *size)  # of the flow image, that flow is computed in
        self.background = geometry.IDENTITY  # (2, 3) frame px -> frame px of the last frame, of the background

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) px."""
        return self.rgb.shape[0], self.rgb.shape[1]

    def limit_flow_to(self, windows: list[Window]) -> None:
        """Compute flow only where these windows and their surroundings are; to be called before `sample_flow`."""
        pad = round(AROUND_PX * self.flow_px)  # the background's motion is measured in these surroundings
        x, y, width, height = grow_window(reduce(join_windows, windows), pad)
        corners = np.array([x, y, x + width, y + height]) * np.tile(self.flow_scale, 2)
        low, high = np.floor(corners[:2]).astype(int), np.ceil(corners[2:]).astype(int)
        side = np.maximum(high - low, MIN_FLOW_SIDE)
        limit = np.array(self.gray.shape[::-1])
        start = np.clip(low, 0, np.maximum(limit - side, 0))
        end = np.minimum(start + side, limit)
        if np.prod(end - start) < LIMIT_SHARE * np.prod(limit):
            self.flow_window = (int(start[0]), int(start[1]), int(end[0] - start[0]), int(end[1] - start[1]))

    @cached_property
    def flow_vectors(self) -> Array:
        """(fh, fw, 2) float32, px of the flow image: pixel x of its window was at x + vector(x) in the last one."""
        x, y, width, height = self.flow_window
        if self.previous_gray is None:
            return np.zeros((height, width, 2), np.float32)
        # ULTRAFAST is as good for masks as MEDIUM at a ninth of the cost; FAST is worse: it smooths over motion edges
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        part = (slice(y, y + height), slice(x, x + width))
        current, previous = (np.ascontiguousarray(gray[part]) for gray in (self.gray, self.previous_gray))
        return np.asarray(dis.calc(current, previous, None))

    def sample_flow(self, window: Window, size: tuple[int, int]) -> Array:
        """(h, w, 2) float32, frame px: the flow of a window at working size."""
        x, y, width, height = window
        (sx, sy), kx, ky = self.flow_scale.tolist(), width / size[1], height / size[0]
        left, top = self.flow_window[0] + 0.5, self.flow_window[1] + 0.5
        to_flow = np.array(
            [[sx * kx, 0, sx * (x + 0.5 * kx) - left], [0, sy * ky, sy * (y + 0.5 * ky) - top]], np.float32
        )
        # averaging over areas costs five times as much and changes no mask: flow is smooth at this scale
        vectors = cv2.warpAffine(
            self.flow_vectors,
            to_flow,
            size[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(vectors if sx == sy == 1 else vectors / self.flow_scale)

    def flow_at(self, xy: Array) -> Array:
        """(M, N, 2) float32, frame px: flow at places (M, N, 2) of this frame; beyond its edge, that of the edge."""
        left, top = self.flow_window[:2]
        at = (xy + np.float32(0.5)) * self.flow_scale - np.array([left + 0.5, top + 0.5], np.float32)
        x, y = (np.ascontiguousarray(at[..., i], np.float32) for i in (0, 1))
        return np.asarray(
            cv2.remap(self.flow_vectors, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) / self.flow_scale
        )

    def measure_background(self, objects: list[Probability]) -> None:
        """Keep the background's motion as that of this frame; `objects` say where the objects were on the last one."""
        self.background = self.fit_background(objects)

    def fit_background(self, objects: list[Probability]) -> Array:
        """(2, 3) the affine map to the last frame that most of the flow outside the objects agrees on."""
        (sx, sy), (left, top, fw, fh) = self.flow_scale.tolist(), self.flow_window
        window = (round(left / sx), round(top / sy), round(fw / sx), round(fh / sy))
        step = max(1.0, float(np.sqrt(window[2] * window[3] / BACKGROUND_POINTS)))
        size = (max(4, round(window[3] / step)), max(4, round(window[2] / step)))
        x, y = pixel_grid(window, size)
        flow = self.sample_flow(window, size)
        from_x, from_y = x + flow[..., 0], y + flow[..., 1]
        outside = np.ones(size, bool)
        for probability in objects:
            outside &= probability(from_x, from_y) < 0.1
        if outside.sum() < MIN_BACKGROUND_POINTS:
            return geometry.IDENTITY
        fitted, _ = cv2.estimateAffine2D(
            np.stack([x[outside], y[outside]], axis=1),
            np.stack([from_x[outside], from_y[outside]], axis=1),
            ransacReprojThreshold=BACKGROUND_AGREE_PX * self.flow_px,
            maxIters=60,
            confidence=0.99,
        )
        smallest, largest = BACKGROUND_SCALES
        believable = fitted is not None and smallest < geometry.scale_of(fitted) < largest
        return np.asarray(fitted) if believable else geometry.IDENTITY


def pixel_grid(window: Window, size: tuple[int, int]) -> tuple[Array, Array]:
    """x, y (h, w) float32, frame px, of a window's pixels at working size."""
    columns, rows = pixel_axes(window, size)
    return np.broadcast_to(columns, size), np.broadcast_to(rows, size)


def pixel_axes(window: Window, size: tuple[int, int]) -> tuple[Array, Array]:
    """As `pixel_grid`, x of the columns (1, w) and y of the rows (h, 1)."""
    x, y, width, height = window
    columns = (np.arange(size[1], dtype=np.float32) + 0.5) * np.float32(width / size[1]) + np.float32(x - 0.5)
    rows = (np.arange(size[0], dtype=np.float32) + 0.5) * np.float32(height / size[0]) + np.float32(y - 0.5)
    return columns[None], rows[:, None]


def grow_window(window: Window, pad: int) -> Window:
    """The window with `pad` px more on each side."""
    x, y, width, height = window
    return x - pad, y - pad, width + 2 * pad, height + 2 * pad


def move_window(window: Window, transform: Array) -> Window:
    """The window around where a (2, 3) map takes a window."""
    x, y, width, height = window
    corners = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]], np.float64)
    moved = geometry.apply(transform, corners)
    low, high = np.floor(moved.min(axis=0)).astype(int), np.ceil(moved.max(axis=0)).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def join_windows(one: Window, other: Window) -> Window:
    """The window around both."""
    x, y = min(one[0], other[0]), min(one[1], other[1])
    return x, y, max(one[0] + one[2], other[0] + other[2]) - x, max(one[1] + one[3], other[1] + other[3]) - y


def clip_window(window: Window, size: tuple[int, int]) -> Window:
    """The part of a window inside the frame (H, W), moved in from the edge so that a px a side remains."""
    x, y, width, height = window
    x2, y2 = min(max(x + width, 1), size[1]), min(max(y + height, 1), size[0])
    x1, y1 = max(min(x, x2 - 1), 0), max(min(y, y2 - 1), 0)
    return x1, y1, x2 - x1, y2 - y1
