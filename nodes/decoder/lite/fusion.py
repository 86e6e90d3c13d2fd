"""Cues in, mask logits out: small networks of fitted weights, and an edge-aware smoothing.

A network sees one pixel's cues at a time (25 -> 32 -> 16 -> 1 to follow an object, two more to begin with one); what
its neighbourhood adds to that, window_network.py finds. The
weights are in fusion_weights.json. tools/fit_lite.py fits them to drawn clips alone: no real video is in them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from nodes.decoder.lite import kernels
from nodes.decoder.lite.cues import ROW, Cues
from stream.arrays import Array

WEIGHTS = Path(__file__).with_name("fusion_weights.json")
STRENGTH, CONTRAST, ROUNDS = 20.0, 8.0, 3  # of the smoothing; contrast in grey levels of an edge that it stops at
GAIN = 1.5  # of the smoothed logits; smoothing has flattened them
MAX_COLOUR_LOGIT = 3.0  # of an averaged log ratio, in the hand-set formula: no colour is proof

CueFusion = Callable[[Cues], Array]  # -> raw logits (h, w)


@dataclass(frozen=True)
class FusionNetwork:
    """Fitted weights of one network of two hidden layers; inputs in columns."""

    w1: Array  # (A, C)
    b1: Array
    w2: Array  # (B, A)
    b2: Array
    w3: Array  # (B,)
    b3: float

    @cached_property
    def padded_w1(self) -> Array:
        """w1 with columns of zeros, as the compiled loop wants it."""
        return np.pad(self.w1, ((0, 0), (0, -self.w1.shape[1] % 4)))

    def __call__(self, planes: Array) -> Array:
        """(h, w) raw logits of cues (C, h, w)."""
        out = np.empty(planes[0].size, np.float32)
        flat = planes.reshape(len(planes), -1)
        kernels.run_network(flat, self.padded_w1, self.b1, self.w2, self.b2, self.w3, self.b3, out)
        return out.reshape(planes.shape[1:])


def fuse_pixels(cues: Cues) -> Array:
    """(h, w) raw logits: what the network that sees one pixel at a time makes of the cues."""
    return load_network("follow")(cues.planes)


@cache
def load_network(name: str) -> FusionNetwork:
    """The network that ships under a name: follow, points, box."""
    values = json.loads(WEIGHTS.read_text())[name]
    w1, b1, w2, b2, w3 = (np.ascontiguousarray(values[key], np.float32) for key in ("w1", "b1", "w2", "b2", "w3"))
    return FusionNetwork(w1, b1, w2, b2, w3, float(values["b3"]))


def fuse_by_hand(cues: Cues) -> Array:
    """(h, w) raw logits without fitted numbers: for the first round of fitting, and for searches."""
    by_shape = 0.5 * cues["carried"] + 2 * cues["depth_wide"]
    return np.asarray(by_shape + fuse_colours(cues.planes), np.float32)


def fuse_colours(planes: Array) -> Array:
    """(h, w) raw logits of the colour cues alone, without fitted numbers."""
    nearby, first, recent, overall = (
        np.clip(planes[ROW[f"mean_{name}"]], -MAX_COLOUR_LOGIT, MAX_COLOUR_LOGIT)
        for name in ("nearby", "first", "recent", "first_overall")
    )
    return np.asarray(0.5 * nearby + 0.35 * first + 0.3 * recent + 0.15 * overall)


def smooth_logits(raw: Array, rgb: Array) -> Array:
    """(h, w) logits: raw ones smoothed inside the edges of the image, sure pixels counting more."""
    clipped = np.clip(raw, -5, 5)
    sure = np.float32(0.2) * np.abs(clipped) + np.float32(0.05)
    return np.asarray(GAIN * kernels.smooth(clipped, sure, rgb, STRENGTH, CONTRAST, ROUNDS), np.float32)
