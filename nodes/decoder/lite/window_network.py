"""Cues of a whole window in, mask logits out: a convolutional network on top of the pixel network.

The pixel network (fusion.py) weighs each pixel's cues alone. This one sees most of the window, and adds what that tells
to the pixel network's logits: where parts belong together, where an outline closes. It does not see the picture itself,
whose drawn colours and textures it would learn by heart.
OpenCV runs it. tools/fit_windows.py fits it to drawn clips alone.
"""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np

from nodes.decoder.lite import cues as cue_planes
from nodes.decoder.lite.cues import Cues
from nodes.decoder.lite.fusion import fuse_pixels
from stream.arrays import Array

WEIGHTS = Path(__file__).with_name("window_network.onnx")
LOGIT_PLANE = len(cue_planes.NAMES)  # the pixel network's logit comes after the cues,
CHANNELS = LOGIT_PLANE + 1
SHRINK = 2  # the largest scale inside the network is 1/2: a quarter of the cost; its outputs are as many as the pixels
STRIDE = 8  # the smallest scale inside the network is 1/8; fewer sizes let OpenCV plan its loops less often

_of_thread = threading.local()


class WindowNetwork:
    """Fitted weights of a network with input (1, C, H, W) and output (1, SHRINK^2, H / SHRINK, W / SHRINK)."""

    def __init__(self, weights: Path, share: float = 1.0) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(weights))
        self._share = np.float32(share)  # of what it adds, that is used

    def __call__(self, cues: Cues) -> Array:
        """(h, w) raw logits."""
        logits = fuse_pixels(cues)
        h, w = logits.shape
        self._net.setInput(fill_up(cues.planes, logits)[None])
        return np.asarray(logits + self._share * spread_outputs(self._net.forward()[0])[:h, :w])


def fill_up(planes: Array, logits: Array) -> Array:
    """(CHANNELS, H, W) float32: cues (C, h, w) and logits (h, w), their edges repeated up to the stride."""
    _, h, w = planes.shape
    whole = np.empty((CHANNELS, h + -h % STRIDE, w + -w % STRIDE), np.float32)
    whole[:LOGIT_PLANE, :h, :w] = planes
    whole[LOGIT_PLANE, :h, :w] = logits
    whole[:, h:, :w] = whole[:, h - 1 : h, :w]
    whole[:, :, w:] = whole[:, :, w - 1 : w]
    return whole


def spread_outputs(outputs: Array) -> Array:
    """(H, W): of outputs (SHRINK^2, h, w) for the pixels of each place, row by row, each at its pixel."""
    _, h, w = outputs.shape
    places = outputs.reshape(SHRINK, SHRINK, h, w).transpose(2, 0, 3, 1)
    return np.asarray(places.reshape(SHRINK * h, SHRINK * w))


def fuse_window(cues: Cues) -> Array:
    """(h, w) raw logits: what the shipped networks make of the cues."""
    return load_network()(cues)


def load_network() -> WindowNetwork:
    """The network that ships; each thread has its own, as OpenCV's keep what they compute."""
    network: WindowNetwork | None = getattr(_of_thread, "network", None)
    if network is None:
        network = _of_thread.network = WindowNetwork(WEIGHTS)
    return network
