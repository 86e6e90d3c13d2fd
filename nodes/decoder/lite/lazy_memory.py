"""A shape in, an array of zeros out that takes memory only where it is written to, a page of 4 KiB at a time.

Colour histograms are nearly empty: an object has few of the 4096 colours in each of its cells. `np.zeros` would be
lazy, too, but numpy asks for huge pages of 2 MiB, and then all of a histogram is there after a handful of pixels (17 MB
an object, 3 to 6 MB by small pages).
"""

from __future__ import annotations

import mmap
import sys

import numpy as np

from stream.arrays import Array


def lazy_zeros(shape: tuple[int, ...]) -> Array:
    """float32 zeros."""
    count = int(np.prod(shape))
    if count == 0 or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.zeros(shape, np.float32)
    pages = mmap.mmap(-1, 4 * count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if sys.platform == "linux":
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, np.float32).reshape(shape)
