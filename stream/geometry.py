"""Every change of coordinates, beside its inverse. Points are (x, y), pixel centres whole numbers, sizes (H, W)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.arrays import Array

Size = tuple[int, int]  # (height, width), px

MAX_SIDE = 32_766  # px of a frame's sides: OpenCV maps no larger pictures (its coordinates are shorts)
MAX_PIXELS = 1 << 26  # of a frame: photographs of 64 megapixels; 8K video has 33.2 million

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float64)


def can_travel(size: Size) -> bool:
    """Whether a frame of that size can be carried along the graph and published."""
    return max(size) <= MAX_SIDE and size[0] * size[1] <= MAX_PIXELS


def apply(transform: Array, xy: Array) -> Array:
    """(N, 2) of the dtype of `xy`: points carried by a (2, 3) affine map."""
    return np.asarray(xy @ transform[:, :2].T + transform[:, 2], xy.dtype)


def compose(after: Array, before: Array) -> Array:
    """The (2, 3) map that applies `before`, then `after`."""
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])


def inverse(transform: Array) -> Array:
    """The (2, 3) map back."""
    (a, b, x), (c, d, y) = transform.tolist()
    area = a * d - b * c
    a, b, c, d = d / area, -b / area, -c / area, a / area
    return np.array([[a, b, -(a * x + b * y)], [c, d, -(c * x + d * y)]])


def scale_of(transform: Array) -> float:
    """How much a (2, 3) map enlarges lengths: the square root of how much it enlarges areas."""
    return float(np.sqrt(abs(transform[0, 0] * transform[1, 1] - transform[0, 1] * transform[1, 0])))


def rescaling(old: Size, new: Size) -> Array:
    """The (2, 3) map from px of a frame of the old size to px of the same frame at the new size."""
    sy, sx = new[0] / old[0], new[1] / old[1]
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5]], np.float64)


def resize_mask(mask: Array, size: Size) -> Array:
    """A (H, W) mask at another size, nearest neighbour; the very mask where nothing changes."""
    if mask.shape == size:
        return mask
    rows = np.arange(size[0]) * mask.shape[0] // size[0]
    columns = np.arange(size[1]) * mask.shape[1] // size[1]
    return np.ascontiguousarray(mask[rows[:, None], columns])


def fit(frame: Size, into: Size, smallest: int) -> Size:
    """The size of a frame that is scaled to fit; its shape changes only where a side would fall below the smallest."""
    height, width = Letterbox(frame, into).size
    return max(height, smallest), max(width, smallest)


@dataclass(frozen=True)
class Letterbox:
    """Where a frame lies on a canvas of square pixels: scaled to fit, its shape kept, centred, bars at two sides."""

    frame: Size  # frame px
    canvas: Size  # canvas px
    pixel_aspect: float = 1.0  # width to height of a frame's pixel, as it is to be shown

    @property
    def size(self) -> Size:
        """Of the scaled frame, canvas px."""
        height, width = self.frame[0], self.frame[1] * self.pixel_aspect
        scale = min(self.canvas[0] / height, self.canvas[1] / width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    @property
    def corner(self) -> tuple[int, int]:
        """(x, y) of its upper left corner, canvas px."""
        return (self.canvas[1] - self.size[1]) // 2, (self.canvas[0] - self.size[0]) // 2

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas px a frame px, in x and in y: where pixels are square, equal but for the rounding of the size."""
        return self.size[1] / self.frame[1], self.size[0] / self.frame[0]

    def to_canvas(self, x: float, y: float) -> tuple[float, float]:
        """A point in frame px, in canvas px."""
        (left, top), (sx, sy) = self.corner, self.scale
        return (x + 0.5) * sx - 0.5 + left, (y + 0.5) * sy - 0.5 + top

    def to_frame(self, x: float, y: float) -> tuple[float, float]:
        """A point in canvas px, in frame px; on a bar it lies outside the frame."""
        (left, top), (sx, sy) = self.corner, self.scale
        return (x - left + 0.5) / sx - 0.5, (y - top + 0.5) / sy - 0.5
