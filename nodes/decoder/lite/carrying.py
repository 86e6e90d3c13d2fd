"""Dense flow and points on many objects in, how each object has moved since the last frame out: all of them at once.

For objects that are not decoded on this frame. Flow leads back, so a point's new place is where flow leads to the old
one: found in ROUNDS. A similarity fits what agrees with the median shift; where it is not sane, that shift is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nodes.decoder.lite.frame_analysis import FrameAnalysis
from stream import geometry
from stream.arrays import Array

if TYPE_CHECKING:
    from stream.messages import Prompt

POINTS = 48  # of an object
ROUNDS = 2  # flow is smooth: a third changes nothing
AGREE_PX = 3.0  # px of the flow image: a point that differs from the median shift by more is an outlier
SCALES = (0.85, 1.18)  # between two frames
MIN_SPREAD_PX = 6.0  # px of the flow image, about the mean: of smaller objects flow shows the shift alone
LEAST_AGREEING = 6  # points, for more than a shift


def steps_of(analysis: FrameAnalysis, xy: Array) -> Array:
    """(M, 2, 3) float64: for M objects with points (M, POINTS, 2), frame px of the last frame, their motion since."""
    at = xy.astype(np.float32)
    now = at
    for _ in range(ROUNDS):
        now = at - analysis.flow_at(now)
    shifts = now - at
    shift = np.median(shifts, axis=1, keepdims=True)
    agree = np.linalg.norm(shifts - shift, axis=2) <= AGREE_PX * analysis.flow_px
    steps = np.tile(geometry.IDENTITY, (len(xy), 1, 1))
    steps[:, :, 2] = shift[:, 0]
    fitted, sane = _fit_similarities(xy.astype(np.float64), now.astype(np.float64), agree, analysis.flow_px)
    steps[sane] = fitted[sane]
    return steps


def compose_all(after: Sequence[Array], before: Sequence[Array]) -> Array:
    """(M, 2, 3): of M pairs of (2, 3) maps, the map that applies `before`, then `after`."""
    first, then = np.asarray(before, np.float64), np.asarray(after, np.float64)
    composed = then[:, :, :2] @ first
    composed[:, :, 2] += then[:, :, 2]
    return np.asarray(composed)


def spread_points(soft_mask: Array) -> Array:
    """(POINTS, 2) float32: x and y of the pixels of a (h, w) mask, 0..1, evenly in reading order."""
    places = np.flatnonzero(soft_mask >= min(0.5, float(soft_mask.max())))  # one of a few px is nowhere above 0.5
    rows, columns = np.divmod(places[np.linspace(0, len(places) - 1, POINTS).astype(np.int64)], soft_mask.shape[1])
    return np.stack([columns, rows], axis=1).astype(np.float32)


def points_of_prompt(prompt: Prompt) -> Array | None:
    """(POINTS, 2) float32, frame px: points on what a prompt shows; None where it shows nothing."""
    if prompt.mask is not None and prompt.mask.any():
        return spread_points(prompt.mask)
    if prompt.xy is not None and prompt.labels is not None and (prompt.labels == 1).any():
        return np.resize(prompt.xy[prompt.labels == 1], (POINTS, 2)).astype(np.float32)
    if prompt.box is None:
        return None
    low, high = np.array(prompt.box).reshape(2, 2)
    across, down = np.meshgrid(np.linspace(0.25, 0.75, 8), np.linspace(0.25, 0.75, POINTS // 8))  # of its middle half
    return np.asarray(low + np.stack([across.ravel(), down.ravel()], axis=1) * (high - low), np.float32)


def _fit_similarities(before: Array, after: Array, agree: Array, flow_px: float) -> tuple[Array, Array]:
    """(M, 2, 3) least squares over the points (M, N, 2) that agree (M, N), and (M,) bool where the fit is sane."""
    weight = agree.astype(np.float64)
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    z, w = before[..., 0] + 1j * before[..., 1], after[..., 0] + 1j * after[..., 1]
    z_mean, w_mean = ((weight * v).sum(axis=1, keepdims=True) / count for v in (z, w))
    spread = (weight * np.abs(z - z_mean) ** 2).sum(axis=1)
    turn = (weight * np.conj(z - z_mean) * (w - w_mean)).sum(axis=1) / np.maximum(spread, 1e-9)
    rest = w_mean[:, 0] - turn * z_mean[:, 0]
    fitted = np.stack(
        [np.stack([turn.real, -turn.imag, rest.real], -1), np.stack([turn.imag, turn.real, rest.imag], -1)], axis=1
    )
    scale = np.abs(turn)
    large = spread > count[:, 0] * (MIN_SPREAD_PX * flow_px) ** 2
    sane = (scale >= SCALES[0]) & (scale <= SCALES[1]) & (agree.sum(axis=1) >= LEAST_AGREEING)
    return fitted, large & sane
