"""Logits at working size and the frame in, logits at the frame's size out, whose outline follows the frame's detail.

Around each working pixel, logits are taken as a linear function of colours, as a guided filter does (He, Sun and Tang,
2010). Its slopes change slowly, so that they hold at the frame's own size, too: where a colour there differs from what
the small image shows at that place, the logit does as well.
"""

from __future__ import annotations

import cv2
import numpy as np

from nodes.decoder.lite import kernels
from nodes.decoder.lite.view import View
from stream.arrays import Array

SIDE_PX = 5  # working px round each, that slopes are fitted to, and averaged over
NOISE_VARIANCE = 300.0  # of colours, grey levels squared: less is no detail
LARGER = 8  # times a side of the working size: detail that is much finer is not what the slopes were fitted to
NEAR_LOGIT, MOST_LOGIT = 4.0, 4.0  # logits within so much of the outline are moved, by so much at most


def enlarge_logits(logits: Array, view: View, rgb: Array) -> Array:
    """(height, width) float32 of a view's window: logits (h, w) float32 of its pixels, on a frame (H, W, 3) uint8."""
    x, y, width, height = view.window
    if view.size == (height, width):
        return logits
    sides = (SIDE_PX, SIDE_PX)
    means = cv2.blur(kernels.multiply_colours(logits, view.rgb), sides)
    slopes = cv2.blur(kernels.fit_slopes(means, NOISE_VARIANCE), sides)
    part, (h, w) = rgb[y : y + height, x : x + width], view.size
    if height > LARGER * h or width > LARGER * w:
        part = cv2.resize(part, (min(width, LARGER * w), min(height, LARGER * h)), interpolation=cv2.INTER_AREA)
    else:
        part = part.copy()  # a frame may not be written to, and numba compiles that apart
    large = kernels.enlarge(logits, slopes, view.rgb, part, NEAR_LOGIT, MOST_LOGIT)
    if large.shape == (height, width):
        return np.asarray(large)
    return np.asarray(cv2.resize(large, (width, height), interpolation=cv2.INTER_LINEAR))
