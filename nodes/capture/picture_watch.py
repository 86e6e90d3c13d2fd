"""Pictures and their times in; for how long they have been identical, or black, out."""

from __future__ import annotations

from stream.arrays import Array

STEP_PX = 8  # a picture is looked at on every so many rows and columns
BLACK_LEVEL = 24  # grey levels: nothing in a black picture is brighter (video black is 16)
FEW = 3  # pictures that are alike say nothing yet


class PictureWatch:
    """Notices a camera that repeats its last picture, or whose lens is covered. A noisy camera never repeats one."""

    def __init__(self) -> None:
        self._sample: Array | None = None  # of the last picture
        self._alike = self._dark = 0  # pictures in a row
        self._alike_ns = self._dark_ns = 0  # when the first of them came

    def see(self, rgb: Array, now_ns: int) -> None:
        """Look at a picture, (H, W, 3) uint8."""
        sample = rgb[::STEP_PX, ::STEP_PX].copy()
        old, self._sample = self._sample, sample
        if old is None or old.shape != sample.shape or (old != sample).any():
            self._alike, self._alike_ns = 0, now_ns
        self._alike += 1
        if sample.max() > BLACK_LEVEL:
            self._dark = 0
        else:
            self._dark_ns = self._dark_ns if self._dark else now_ns
            self._dark += 1

    def frozen_s(self, now_ns: int) -> float:
        """How long all pictures have been identical; 0 where they are not."""
        return (now_ns - self._alike_ns) / 1e9 if self._alike >= FEW else 0.0

    def black_s(self, now_ns: int) -> float:
        """How long all pictures have been black; 0 where they are not."""
        return (now_ns - self._dark_ns) / 1e9 if self._dark >= FEW else 0.0
