"""A frame's number as black and white cells: drawn into a corner of the picture, found again in whatever became of it.

20 bits of the number and 12 of a checksum, in 4 rows of 8 cells at the lower right. Cells are a thirtieth of the
picture's height, so they outlive JPEG and scaling, and a reader needs nothing but the picture (whose shape was kept).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stream.arrays import Array
from stream.geometry import Size

COLUMNS, ROWS = 8, 4
NUMBER_BITS, CHECK_BITS = 20, 12
NUMBERS = 1 << NUMBER_BITS  # 1048576: numbers repeat after 11 h at 25 frames/s
POLYNOMIAL = 0x80F  # CRC-12
CHECK_START = 0xFFF  # not 0, so that neither a black nor a white corner is a code
DARK, BRIGHT = 16, 235  # gray levels that outlive video's narrow range


def code_cells(size: Size) -> list[tuple[float, float, float, float]]:
    """(x1, y1, x2, y2) of each cell in px, the number's highest bit first."""
    height, width = size
    side = min(height / 30, width / 24)
    left, top = width - COLUMNS * side, height - ROWS * side
    return [
        (left + column * side, top + row * side, left + (column + 1) * side, top + (row + 1) * side)
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]


def code_bits(number: int) -> Iterator[int]:
    """The 32 bits of a number (modulo `NUMBERS`) and its checksum."""
    code = (number % NUMBERS) << CHECK_BITS | checksum(number % NUMBERS)
    return ((code >> place) & 1 for place in reversed(range(NUMBER_BITS + CHECK_BITS)))


def checksum(number: int) -> int:
    """CRC-12 of a number of 20 bits."""
    remainder = CHECK_START
    for place in reversed(range(NUMBER_BITS)):
        out = (remainder >> (CHECK_BITS - 1)) ^ (number >> place) & 1
        remainder = (remainder << 1) & (1 << CHECK_BITS) - 1 ^ (POLYNOMIAL if out else 0)
    return remainder


def draw_frame_code(rgb: Array, number: int, truth: Array | None = None) -> None:
    """Draw the code of `number` into the picture, (H, W, 3) uint8; it hides whatever `truth`, (H, W), says is there."""
    for (x1, y1, x2, y2), bit in zip(code_cells((rgb.shape[0], rgb.shape[1])), code_bits(number), strict=True):
        cell = slice(round(y1), round(y2)), slice(round(x1), round(x2))
        rgb[cell] = BRIGHT if bit else DARK
        if truth is not None:
            truth[cell] = 0


def read_frame_code(rgb: Array) -> int | None:
    """The number in a picture, (H, W, 3) uint8 at any scale; None where its corner holds no code."""
    code = 0
    for x1, y1, x2, y2 in code_cells((rgb.shape[0], rgb.shape[1])):
        x, y, inset = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 4  # the middle of the cell: its edges are blurred
        rows = slice(int(y - inset), max(int(y + inset), int(y - inset) + 1))
        columns = slice(int(x - inset), max(int(x + inset), int(x - inset) + 1))
        code = code << 1 | bool(np.mean(rgb[rows, columns]) >= (DARK + BRIGHT) / 2)
    number = code >> CHECK_BITS
    return number if code & (1 << CHECK_BITS) - 1 == checksum(number) else None
