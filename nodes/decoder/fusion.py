"""Cues of one object's window in, mask logits out: hand-set weights, then an edge-aware smoothing.

All cues are log-likelihood ratios or shapes of one, (h, w) float32 at working size, object positive:

    carried    the last soft mask, carried by the dense flow
    depth      signed distance to its outline, px: a pixel deep inside is hard to lose, one far outside hard to win
    rigid      the outline of the last good look, carried by the object's own similarity
    first      colours per place on the object, as on the first frame
    recent     the same, adapting
    colours    colours of the object and its surroundings as wholes
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.messages import Array

CARRIED, DEPTH, RIGID, FIRST, RECENT, COLOURS = 0.5, 2.0, 0.3, 0.6, 0.9, 0.2
BIAS = 0.25  # for the object: smoothing nibbles at convex outlines, and what is lost there is lost for all later frames
DEPTH_PX = 16.0  # working px
CLIP = 3.0  # of an appearance cue: no colour is proof
SMOOTH_RADIUS, SMOOTH_EPS = 3, 0.004  # px, squared contrast (0..1) of an edge that smoothing stops at
GAIN = 1.5  # of the smoothed logits; smoothing has flattened them


@dataclass(frozen=True)
class Cues:
    """What is known of each pixel of a window."""

    carried: Array  # 0..1
    rigid: Array  # 0..1
    first: Array  # log ratio
    recent: Array  # log ratio
    colours: Array  # log ratio
    gray: Array  # uint8, the window itself


def fuse(cues: Cues) -> tuple[Array, Array]:
    """(h, w) logits, and the (h, w) appearance part of them."""
    look = FIRST * averaged(cues.first) + RECENT * averaged(cues.recent) + COLOURS * averaged(cues.colours)
    z = CARRIED * logit(cues.carried) + DEPTH * np.tanh(signed_distance(cues.carried > 0.5) / DEPTH_PX)
    z += RIGID * logit(cues.rigid) + look + BIAS
    return GAIN * smoothed(np.clip(z, -5, 5), cues.gray), look


def averaged(log_ratio: Array) -> Array:
    """A log ratio over 7x7 px, clipped: one pixel's colour says little."""
    return np.asarray(np.clip(cv2.blur(log_ratio, (7, 7)), -CLIP, CLIP))


def logit(chance: Array) -> Array:
    """ln p / (1 - p), within +-5.3."""
    p = np.clip(chance, 0.005, 0.995)
    return np.asarray(np.log(p / (1 - p)), np.float32)


def sigmoid(logits: Array) -> Array:
    """The chance of a logit."""
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def signed_distance(mask: Array) -> Array:
    """(h, w) px to the outline, positive inside; far outside everywhere when the mask is empty."""
    inside = mask.astype(np.uint8)
    if not mask.any():
        return np.full(mask.shape, -1e3, np.float32)
    out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3) - out, np.float32)


def smoothed(z: Array, gray: Array) -> Array:
    """Logits smoothed inside the edges of the picture: a guided filter, sure pixels counting more."""
    size = (2 * SMOOTH_RADIUS + 1,) * 2
    sure = 0.2 * np.abs(z) + 0.05
    guide = gray.astype(np.float32) / 255
    mass = cv2.blur(sure, size)
    mean = cv2.blur(sure * guide, size) / mass
    target = cv2.blur(sure * z, size) / mass
    variance = cv2.blur(sure * guide * guide, size) / mass - mean * mean
    slope = (cv2.blur(sure * guide * z, size) / mass - mean * target) / (variance + SMOOTH_EPS)
    offset = target - slope * mean
    return np.asarray(cv2.blur(slope, size) * guide + cv2.blur(offset, size), np.float32)
