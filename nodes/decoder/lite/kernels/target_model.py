"""A linear model of rectified features, pixel by pixel: features in, logits out."""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.kernels.compiling import compiled
from stream.arrays import Array


@compiled("void(f4[:,::1], f4[:,::1], f4[::1], f4[::1], f4, f4[::1])")
def weigh_rectified(features: Array, weights: Array, bias: Array, shares: Array, offset: float, out: Array) -> None:
    """Fill `out` (n,) with offset + sum of shares (A,) * max(0, weights (A, C) features (C, n) + bias (A,)).

    Four of the sums at a time, in blocks of pixels that stay in the first cache; A divisible by 4, C by 3.
    """
    block = 256
    one, two = np.empty(block, np.float32), np.empty(block, np.float32)
    three, four = np.empty(block, np.float32), np.empty(block, np.float32)
    count, n = features.shape
    inputs = np.empty((count, block), np.float32)
    zero = np.float32(0)
    for start in range(0, n, block):
        size = min(block, n - start)
        inputs[:, :size] = features[:, start : start + size]
        result = out[start : start + size]
        result[:] = offset
        for j in range(0, weights.shape[0], 4):
            one[:], two[:], three[:], four[:] = bias[j], bias[j + 1], bias[j + 2], bias[j + 3]
            for i in range(0, count, 3):
                a0, a1, a2 = weights[j, i], weights[j, i + 1], weights[j, i + 2]
                b0, b1, b2 = weights[j + 1, i], weights[j + 1, i + 1], weights[j + 1, i + 2]
                c0, c1, c2 = weights[j + 2, i], weights[j + 2, i + 1], weights[j + 2, i + 2]
                d0, d1, d2 = weights[j + 3, i], weights[j + 3, i + 1], weights[j + 3, i + 2]
                for k in range(block):
                    x0, x1, x2 = inputs[i, k], inputs[i + 1, k], inputs[i + 2, k]
                    one[k] += a0 * x0 + a1 * x1 + a2 * x2
                    two[k] += b0 * x0 + b1 * x1 + b2 * x2
                    three[k] += c0 * x0 + c1 * x1 + c2 * x2
                    four[k] += d0 * x0 + d1 * x1 + d2 * x2
            a, b, c, d = shares[j], shares[j + 1], shares[j + 2], shares[j + 3]
            for k in range(size):
                result[k] += a * max(one[k], zero) + b * max(two[k], zero)
                result[k] += c * max(three[k], zero) + d * max(four[k], zero)
