"""Pixels with true labels in, the weights of a small network out: what tools/fit_lite.py fits with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from nodes.decoder.lite.fusion import FusionNetwork
from stream.arrays import Array
from tools.fitting.adam import Adam

NEAR_PX = 6  # of the true outline: where half of the samples lie
RATE, BATCH, DECAY = 8e-3, 4096, 1e-4
HIDDEN = (32, 16)


@dataclass
class Samples:
    """Pixels: cues (N, C) float32, the true share of the object (N,), what each counts (N,)."""

    cues: Array
    truth: Array
    weight: Array


def sample_pixels(planes: Array, truth: Array, rng: np.random.Generator, count: int) -> Samples:
    """Some pixels of a frame; each counts for those it stands for, against the object's area."""
    edge = cv2.morphologyEx((truth > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    near = np.flatnonzero(cv2.distanceTransform(1 - edge, cv2.DIST_L2, 3) <= NEAR_PX)
    area = max(float(truth.sum()), 0.02 * truth.size)
    half = count // 2
    at, weight = [rng.integers(0, truth.size, half)], [np.full(half, truth.size / half / area)]
    if len(near) and edge.any():
        at.append(rng.choice(near, half))
        weight.append(np.full(half, 1.5 * len(near) / half / area))
    index = np.concatenate(at)
    counts = np.clip(np.concatenate(weight) * count / 10, 0.05, 3)
    return Samples(planes.reshape(len(planes), -1)[:, index].T.copy(), truth.ravel()[index], counts.astype(np.float32))


def join_samples(parts: Sequence[Samples]) -> Samples:
    """All of them as one."""
    if not parts:
        return Samples(*(np.zeros(shape, np.float32) for shape in ((0, 0), 0, 0)))
    return Samples(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("cues", "truth", "weight")))


def fit_network(data: Samples, epochs: int, seed: int) -> FusionNetwork:
    """The network by AdamW, one-cycle rate, weighted cross-entropy on soft labels."""
    rng = np.random.default_rng(seed)
    mean, spread = data.cues.mean(axis=0), data.cues.std(axis=0) + 1e-3
    sizes = [data.cues.shape[1], *HIDDEN, 1]
    w = [rng.normal(0, np.sqrt(2 / a), (b, a)).astype(np.float32) for a, b in pairwise(sizes)]
    b = [np.zeros(n, np.float32) for n in sizes[1:]]
    params = w + b
    adam = Adam(params)
    count = len(data.truth)
    steps, step = epochs * (count // BATCH), 0
    for _ in range(epochs):
        order = rng.permutation(count)
        for start in range(0, count - BATCH + 1, BATCH):
            at = order[start : start + BATCH]
            x = (data.cues[at] - mean) / spread
            share = data.weight[at] / data.weight[at].sum()
            h1 = x @ w[0].T + b[0]
            a1 = np.maximum(h1, 0.1 * h1)
            h2 = a1 @ w[1].T + b[1]
            a2 = np.maximum(h2, 0.1 * h2)
            z = (a2 @ w[2].T + b[2])[:, 0]
            slope = ((1 / (1 + np.exp(-np.clip(z, -30, 30))) - data.truth[at]) * share)[:, None]
            d2 = slope @ w[2] * np.where(h2 > 0, 1, np.float32(0.1))
            d1 = d2 @ w[1] * np.where(h1 > 0, 1, np.float32(0.1))
            grads = [d1.T @ x, d2.T @ a1, slope.T @ a2, d1.sum(0), d2.sum(0), slope.sum(0)]
            step += 1
            at_cycle = step / steps
            rate = RATE * (at_cycle / 0.3 if at_cycle < 0.3 else 0.5 * (1 + np.cos(np.pi * (at_cycle - 0.3) / 0.7)))
            for p, change in zip(params, adam.changes(grads), strict=True):
                p -= np.float32(rate) * (change + (DECAY * p if p.ndim == 2 else 0)).astype(np.float32)
    return FusionNetwork(w[0] / spread, b[0] - w[0] @ (mean / spread), w[1], b[1], w[2][0].copy(), float(b[2][0]))


def network_to_json(network: FusionNetwork) -> dict[str, object]:
    """A network as JSON holds it: five digits are enough."""

    def short(values: Array) -> object:
        return [short(v) for v in values] if values.ndim else float(f"{float(values):.5g}")

    names = ("w1", "b1", "w2", "b2", "w3")
    return {name: short(getattr(network, name)) for name in names} | {"b3": float(f"{network.b3:.5g}")}
