"""Two sizes in; the largest centred place of one picture inside the other out, with the way there and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.messages import Array


@dataclass(frozen=True)
class Letterbox:
    """Where a frame lies on a canvas: scaled to fit, its shape kept, bars at two sides."""

    frame: tuple[int, int]  # (height, width), frame px
    canvas: tuple[int, int]  # (height, width), canvas px

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the scaled frame, canvas px."""
        scale = min(self.canvas[0] / self.frame[0], self.canvas[1] / self.frame[1])
        return max(1, round(self.frame[0] * scale)), max(1, round(self.frame[1] * scale))

    @property
    def corner(self) -> tuple[int, int]:
        """(x, y) of its upper left corner, canvas px."""
        return (self.canvas[1] - self.size[1]) // 2, (self.canvas[0] - self.size[0]) // 2

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas px a frame px, in x and in y: equal but for the rounding of the size."""
        return self.size[1] / self.frame[1], self.size[0] / self.frame[0]

    def to_canvas(self, x: float, y: float) -> tuple[float, float]:
        """A point in frame px, in canvas px."""
        (left, top), (sx, sy) = self.corner, self.scale
        return (x + 0.5) * sx - 0.5 + left, (y + 0.5) * sy - 0.5 + top

    def to_frame(self, x: float, y: float) -> tuple[float, float]:
        """A point in canvas px, in frame px; on a bar it lies outside the frame."""
        (left, top), (sx, sy) = self.corner, self.scale
        return (x - left + 0.5) / sx - 0.5, (y - top + 0.5) / sy - 0.5

    def fit(self, rgb: Array) -> Array:
        """The (H, W, 3) uint8 frame on a black canvas; the very frame where nothing has to change."""
        if self.frame == self.canvas:
            return rgb
        height, width = self.size
        smaller = height < self.frame[0]
        scaled = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        if self.size == self.canvas:
            return np.asarray(scaled)
        canvas = np.zeros((*self.canvas, 3), np.uint8)
        x, y = self.corner
        canvas[y : y + height, x : x + width] = scaled
        return canvas
