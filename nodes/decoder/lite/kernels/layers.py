"""A small network, pixel by pixel: cues in, logits out."""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.kernels.compiling import compiled
from stream.arrays import Array


@compiled("void(f4[:,::1], f4[:,::1], f4[::1], f4[:,::1])")
def _layer(inputs: Array, weights: Array, bias: Array, out: Array) -> None:
    """One layer with leaky ReLU 0.1 over a block: (C, n) in, (A, n) out; C divisible by 4, A by 2.

    Two outputs and four inputs at a time: their eight weights and two sums stay in registers.
    """
    n = inputs.shape[1]
    leak = np.float32(0.1)
    for j in range(0, weights.shape[0], 2):
        for k in range(n):
            out[j, k], out[j + 1, k] = bias[j], bias[j + 1]
        for i in range(0, weights.shape[1], 4):
            a0, a1, a2, a3 = weights[j, i], weights[j, i + 1], weights[j, i + 2], weights[j, i + 3]
            b0, b1, b2, b3 = weights[j + 1, i], weights[j + 1, i + 1], weights[j + 1, i + 2], weights[j + 1, i + 3]
            for k in range(n):
                x0, x1, x2, x3 = inputs[i, k], inputs[i + 1, k], inputs[i + 2, k], inputs[i + 3, k]
                out[j, k] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                out[j + 1, k] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
        for k in range(n):
            out[j, k] = max(out[j, k], leak * out[j, k])
            out[j + 1, k] = max(out[j + 1, k], leak * out[j + 1, k])


@compiled("void(f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[::1], f4[::1], f4, f4[::1])")
def run_network(cues: Array, w1: Array, b1: Array, w2: Array, b2: Array, w3: Array, b3: float, out: Array) -> None:
    """Logits (n,) of cues (C, n): two hidden layers with leaky ReLU 0.1; w1 (A, C and zeros up to a multiple of 4).

    It works in blocks of pixels that stay in the first cache.
    """
    block = 256
    n = cues.shape[1]
    zero = np.zeros((w1.shape[1], block), np.float32)
    one = np.empty((w1.shape[0], block), np.float32)
    two = np.empty((w2.shape[0], block), np.float32)
    for start in range(0, n, block):
        size = min(block, n - start)
        zero[: cues.shape[0], :size] = cues[:, start : start + size]
        _layer(zero, w1, b1, one)
        _layer(one, w2, b2, two)
        last = out[start : start + size]
        last[:] = b3
        for j in range(w3.size):
            w, x = w3[j], two[j]
            for k in range(last.size):
                last[k] += w * x[k]
