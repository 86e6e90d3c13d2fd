"""Cues of a whole window in, mask logits out: convolutional networks on top of the pixel networks.

A pixel network (fusion.py) weighs each pixel's cues alone. One of these sees most of the window, and adds what that
tells to the pixel network's logits: where parts belong together, where an outline closes. It does not see the picture
itself, whose drawn colours and textures it would learn by heart.
There is one to follow objects, and two for the clicks that one begins with (click_masks.py looks twice). OpenCV runs
them; tools/fit_windows.py and tools/fit_clicks.py fit them to drawn clips alone.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from nodes.decoder.lite import cues as cue_planes
from nodes.decoder.lite.cues import Cues
from nodes.decoder.lite.fusion import fuse_pixels
from stream.arrays import Array

NetworkName = Literal["follow", "points", "points_again"]
FILES: dict[NetworkName, Path] = {
    "follow": Path(__file__).with_name("follow_network.onnx"),
    "points": Path(__file__).with_name("points_network.onnx"),
    "points_again": Path(__file__).with_name("points_again_network.onnx"),
}
CHANNELS = len(cue_planes.NAMES) + 1  # to follow: the pixel network's logit comes after the cues
SHRINK = 2  # the largest scale inside the network is 1/2: a quarter of the cost; its outputs are as many as the pixels
STRIDE = 8  # the smallest scale inside the network is 1/8; fewer sizes let OpenCV plan its loops less often

_of_thread = threading.local()


class WindowNetwork:
    """Fitted weights of a network with input (1, C, H, W) and output (1, SHRINK^2, H / SHRINK, W / SHRINK)."""

    def __init__(self, weights: Path, share: float = 1.0) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(weights))
        self._share = np.float32(share)  # of what it adds, that is used

    def __call__(self, cues: Cues) -> Array:
        """(h, w) raw logits of the cues that an object is followed by."""
        return self.refine(cues.planes, fuse_pixels(cues))

    def refine(self, planes: Array, logits: Array) -> Array:
        """(h, w) raw logits: those of a pixel network (h, w), with what this one adds; planes (C - 1, h, w)."""
        h, w = logits.shape
        self._net.setInput(fill_up(planes, logits)[None])
        return np.asarray(logits + self._share * spread_outputs(self._net.forward()[0])[:h, :w])


def fill_up(planes: Array, logits: Array) -> Array:
    """(C + 1, H, W) float32: cues (C, h, w) and logits (h, w), their edges repeated up to the stride."""
    count, h, w = planes.shape
    whole = np.empty((count + 1, h + -h % STRIDE, w + -w % STRIDE), np.float32)
    whole[:count, :h, :w] = planes
    whole[count, :h, :w] = logits
    whole[:, h:, :w] = whole[:, h - 1 : h, :w]
    whole[:, :, w:] = whole[:, :, w - 1 : w]
    return whole


def spread_outputs(outputs: Array) -> Array:
    """(H, W): of outputs (SHRINK^2, h, w) for the pixels of each place, row by row, each at its pixel."""
    _, h, w = outputs.shape
    places = outputs.reshape(SHRINK, SHRINK, h, w).transpose(2, 0, 3, 1)
    return np.asarray(places.reshape(SHRINK * h, SHRINK * w))


def fuse_window(cues: Cues) -> Array:
    """(h, w) raw logits: what the shipped networks make of the cues that an object is followed by."""
    return load_network("follow")(cues)


def load_network(name: NetworkName) -> WindowNetwork:
    """A network that ships; each thread has its own, as OpenCV's keep what they compute."""
    network: WindowNetwork | None = getattr(_of_thread, name, None)
    if network is None:
        network = WindowNetwork(FILES[name])
        setattr(_of_thread, name, network)
    return network
