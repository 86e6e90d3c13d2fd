"""A frame size in, a drawn clip of twenty bodies out that never leave the picture nor cover each other.

Each sways, turns, grows and shrinks within its own cell of the picture, before a backdrop that passes by: whoever loses
one has made a mistake. One is large, four are middling, the others small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from stream.arrays import Array
from tools.clips.textures import Rng, Size, blob, fractal, landscape, palette, tinted

SEED = 3
GRID = (5, 8)  # rows and columns that the picture is shared out by
CELLS = (  # row, column, rows, columns: one large, four middling, and all that is left for the small ones
    (0, 0, 2, 3),
    *((0, 3, 2, 2), (0, 5, 2, 2), (2, 0, 2, 2), (2, 2, 2, 2)),
    *((0, 7, 1, 1), (1, 7, 1, 1), *((2, c, 1, 1) for c in range(4, 8)), *((3, c, 1, 1) for c in range(4, 8))),
    *((4, c, 1, 1) for c in range(8)),
)
BODIES = 20
FILL = 0.8  # of a cell's height and width; the rest is room to move in
SWAY, TURN, GROWTH = 0.06, 0.12, 0.05  # of the cell's size; radians; of the body's size
PAN = 0.05  # of the frame's width, that the backdrop goes to and fro
GRAIN = 2.0  # noise, gray levels


@dataclass(frozen=True)
class Crowd:
    """T frames with the truth of every body."""

    frames: list[Array]  # (H, W, 3) uint8 RGB
    labels: list[Array]  # (H, W) uint8: 0, or 1 to 20, the large ones first

    def masks(self, count: int) -> list[Array]:
        """(H, W) uint8 of the first `count` bodies on the first frame."""
        return [(self.labels[0] == i).astype(np.uint8) for i in range(1, count + 1)]


@dataclass(frozen=True)
class _Body:
    sprite: Array  # (h, w, 3) uint8
    alpha: Array  # (h, w) float32, 0..1
    cell: tuple[int, int, int, int]  # x, y, width, height: frame px
    period: float  # frames
    phase: float

    def draw(self, image: Array, truth: Array, label: int, t: int) -> None:
        """Draw it into its cell of the picture and of the labels."""
        x, y, width, height = self.cell
        here = (slice(y, y + height), slice(x, x + width))
        alpha = cv2.warpAffine(self.alpha, self._pose(t), (width, height))
        colour = cv2.warpAffine(self.sprite, self._pose(t), (width, height), borderMode=cv2.BORDER_REPLICATE)
        image[here] = cv2.blendLinear(colour, image[here], alpha, 1 - alpha)
        truth[here][alpha > 0.5] = label

    def _pose(self, t: int) -> Array:
        """(2, 3): sprite px -> px of its cell."""
        angle = 2 * np.pi * t / self.period + self.phase
        turn, size = TURN * np.sin(angle), 1 + GROWTH * np.sin(0.7 * angle)
        c, s = size * np.cos(turn), size * np.sin(turn)
        x = self.cell[2] * (0.5 + SWAY * np.sin(angle))
        y = self.cell[3] * (0.5 + SWAY * np.cos(1.3 * angle))
        v, u = ((n - 1) / 2 for n in self.alpha.shape)
        return np.array([[c, -s, x - c * u + s * v], [s, c, y - s * u - c * v]])


def draw_crowd(size: Size, frames: int) -> Crowd:
    """The clip, the same at each call."""
    rng = np.random.default_rng(SEED)
    margin = 2 + round(2 * PAN * size[1])
    backdrop = landscape(rng, (size[0] + 2 * margin, size[1] + 2 * margin), palette(rng))
    bodies = list(_bodies(rng, size))
    pictures, labels = [], []
    for t in range(frames):
        way = PAN * size[1] * np.array([np.sin(t / 9), 0.5 * np.sin(t / 13)]) - margin
        image = cv2.warpAffine(backdrop, np.column_stack([np.eye(2), way]), size[::-1])
        truth = np.zeros(size, np.uint8)
        for label, body in enumerate(bodies, start=1):
            body.draw(image, truth, label, t)
        noise = rng.normal(0, GRAIN, (*size, 1)).astype(np.float32)
        pictures.append(np.clip(image + noise, 0, 255).astype(np.uint8))
        labels.append(truth)
    return Crowd(pictures, labels)


def _bodies(rng: Rng, size: Size) -> Iterator[_Body]:
    """Round things, each of a hue of its own and with a texture."""
    hues = rng.permutation(BODIES) * 180 / BODIES
    for (row, column, rows, columns), hue in zip(CELLS, hues, strict=False):
        y, x = size[0] * row // GRID[0], size[1] * column // GRID[1]
        height, width = size[0] * (row + rows) // GRID[0] - y, size[1] * (column + columns) // GRID[1] - x
        body_size = max(4, round(FILL * height)), max(4, round(FILL * width))
        shades = np.array([[[hue, 190, value] for value in (60, 130, 190, 240)]], np.uint8)
        colours = cv2.cvtColor(shades, cv2.COLOR_HSV2RGB)[0].astype(np.float32)
        sprite = np.clip(tinted(fractal(rng, body_size, rng.uniform(1.0, 1.6)), colours), 0, 255).astype(np.uint8)
        outline = blob(rng, body_size, 0.1).astype(np.float32)
        outline[[0, -1]] = outline[:, [0, -1]] = 0
        yield _Body(
            sprite,
            cv2.GaussianBlur(outline, (0, 0), 0.7),
            (x, y, width, height),
            period=float(rng.uniform(25, 60)),
            phase=float(rng.uniform(0, 2 * np.pi)),
        )
