"""A frame in, the frame at the size that SAM-PT is evaluated at out."""

from __future__ import annotations

import numpy as np
from PIL import Image

from stream.arrays import Array

LONGEST_PX = 1024


def shown_at(picture: Array, longest: int = LONGEST_PX, smooth: bool = True) -> Array:
    """(h, w, 3) or (h, w) uint8 with its longest side resized by Pillow: bilinear, or nearest for label images."""
    image = Image.fromarray(picture)
    scale = longest / max(image.size)
    size = round(image.width * scale), round(image.height * scale)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST))
