"""A picture and a place for it in; the canvas with the picture on it out."""

from __future__ import annotations

import cv2
import numpy as np

from stream.arrays import Array
from stream.geometry import Letterbox


def fit(rgb: Array, place: Letterbox) -> Array:
    """The (H, W, 3) uint8 frame on a black canvas; the very frame where nothing has to change."""
    if place.frame == place.size == place.canvas:
        return rgb
    height, width = place.size
    smaller = height * width < place.frame[0] * place.frame[1]
    scaled = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    if place.size == place.canvas:
        return np.asarray(scaled)
    canvas = np.zeros((*place.canvas, 3), np.uint8)
    x, y = place.corner
    canvas[y : y + height, x : x + width] = scaled
    return canvas
