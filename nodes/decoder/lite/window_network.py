"""Cues of a whole window and its picture in, mask logits out: a convolutional network on top of the pixel network.

The pixel network (fusion.py) weighs each pixel's cues alone. This one sees most of the window, at half its working
size, and adds what that tells to the pixel network's logits: where parts belong together, where an outline closes.
OpenCV runs it. tools/fit_lite.py fits it to drawn clips alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from nodes.decoder.lite import cues as cue_planes
from nodes.decoder.lite.cues import Cues
from nodes.decoder.lite.fusion import fuse_pixels
from stream.arrays import Array

WEIGHTS = Path(__file__).with_name("window_network.onnx")
LOGIT_PLANE = len(cue_planes.NAMES)  # the pixel network's logit comes after the cues,
CHANNELS = LOGIT_PLANE + 1 + 3  # then L, a, b, 0 .. 255
SHRINK = 2  # half the working size costs a quarter; outlines are the business of the pixel network and the smoothing
STRIDE = 4  # the smallest scale of the networks, of the shrunk window; fewer sizes let OpenCV plan its loops less often


class WindowNetwork:
    """Fitted weights of a network with input (1, C, H, W) and output (1, 1, H, W)."""

    def __init__(self, weights: Path) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(weights))

    def __call__(self, cues: Cues) -> Array:
        """(h, w) raw logits."""
        logits = fuse_pixels(cues)
        h, w = logits.shape
        self._net.setInput(shrink_planes([*cues.planes, logits, *cv2.split(cues.view.lab)])[None])
        added = self._net.forward()[0, 0]
        size = (SHRINK * added.shape[1], SHRINK * added.shape[0])
        return np.asarray(logits + cv2.resize(added, size, interpolation=cv2.INTER_LINEAR)[:h, :w])


def shrink_planes(planes: Sequence[Array]) -> Array:
    """(C, H, W) float32: planes (h, w), their edges repeated up to the stride, shrunk."""
    (h, w), step = planes[0].shape, SHRINK * STRIDE
    whole = np.empty((h + -h % step, w + -w % step), np.float32)
    out = np.empty((len(planes), whole.shape[0] // SHRINK, whole.shape[1] // SHRINK), np.float32)
    for plane, small in zip(planes, out, strict=True):
        whole[:h, :w] = plane
        whole[h:, :w] = whole[h - 1 : h, :w]
        whole[:, w:] = whole[:, w - 1 : w]
        cv2.resize(whole, small.shape[::-1], dst=small, interpolation=cv2.INTER_AREA)
    return out


def fuse_window(cues: Cues) -> Array:
    """(h, w) raw logits: what the shipped networks make of the cues."""
    return load_network()(cues)


@cache
def load_network() -> WindowNetwork:
    """The network that ships."""
    return WindowNetwork(WEIGHTS)
