"""Winograd's convolution: a 3x3 kernel prepared once, 4x4 outputs for 36 multiplications a channel instead of 144.

A patch of 6x6 inputs and the kernel are read as polynomials and evaluated at 6x6 points; at each, the product of two
polynomials has the product of their values; 4x4 outputs are interpolated from those (Lavin and Gray 2015).
Over many patches and
channels the multiplications are 36 matrix products, and each change of basis is one more. On one core (AVX2), ms in
place of the plain convolution's in the same run: 416 -> 256 channels at 144x256 398 of 871, 96 -> 96 at 144x256 43 of
79, 64 -> 64 at 288x512 110 of 155, or 140 in tiles of 2x4.

The points decide the rounding. The usual 0, +-1, +-2 and infinity lose a digit: largest error 2.5e-5 over 416 channels
in float32. Those below lose nothing there (5.8e-6, the plain convolution 5.1e-6), but a bit over 64 channels, where the
plain one sums less (root mean square 4.6e-7, and 2.0e-7). Tiles of 2x4 keep that bit, at 24 multiplications for 72.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nodes.tracker.pips.scratch import Scratch

# By outputs a side: where polynomials are evaluated, beside infinity, where the value is the leading coefficient.
EVALUATION_POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.75, -0.75, 1.5, -1.5)}
FEW_CHANNELS = 64  # up to which sums are so short that the rounding of tiles of 4x4 shows in the end


class Winograd:
    """A convolution of 3x3, stride 1, float32."""

    def __init__(self, weight: Tensor) -> None:
        self.tile = tile_for(weight.shape[1])
        bases = zip(*(_bases(side) for side in self.tile), strict=True)
        patch, kernel, outputs = (torch.kron(down, across) for down, across in bases)
        values = torch.einsum("pk,oik->pio", kernel, weight.detach().double().flatten(2))
        self._values = values.float().contiguous()  # (points, inputs, outputs)
        self._to_values = patch.float()
        self._to_outputs = outputs.float()

    def __call__(self, x: Tensor, out: Tensor, scratch: Scratch) -> None:
        """Convolve (h + 2, w + 2, inputs), which has its border, into `out` (h, w, outputs); h and w whole tiles."""
        points, inputs, outputs = self._values.shape
        high, wide = self.tile
        down, across = out.shape[0] // high, out.shape[1] // wide
        row, pixel, _ = x.stride()
        patches = x.as_strided((high + 2, wide + 2, down, across, inputs), (row, pixel, high * row, wide * pixel, 1))
        gathered = scratch("patches", *patches.shape).copy_(patches)
        values = scratch("values", points, down * across * inputs)
        torch.mm(self._to_values, gathered.view(points, -1), out=values)
        products = scratch("products", points, down * across, outputs)
        torch.bmm(values.view(points, -1, inputs), self._values, out=products)
        tiles = scratch("patches", high * wide, down * across * outputs)
        torch.mm(self._to_outputs, products.view(points, -1), out=tiles)
        tiles = tiles.view(high, wide, down, across, outputs).permute(2, 0, 3, 1, 4)
        out.view(down, high, across, wide, outputs).copy_(tiles)


def tile_for(inputs: int) -> tuple[int, int]:
    """(down, across): how many outputs are made at once."""
    return (2, 4) if inputs <= FEW_CHANNELS else (4, 4)


def _bases(outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """In one dimension, float64: from a patch to its values, from a kernel to its, and from values to outputs."""
    points = EVALUATION_POINTS[outputs]
    patch = torch.zeros(outputs + 2, outputs + 2, dtype=torch.float64)
    kernel = torch.zeros(outputs + 2, 3, dtype=torch.float64)
    tile = torch.zeros(outputs, outputs + 2, dtype=torch.float64)
    for i, point in enumerate(points):
        others = [p for p in points if p != point]
        powers = torch.tensor([point**k for k in range(max(outputs, 3))], dtype=torch.float64)
        patch[i, :-1] = _coefficients(others)
        kernel[i] = powers[:3] / torch.tensor([point - p for p in others], dtype=torch.float64).prod()
        tile[:, i] = powers[:outputs]
    patch[-1] = _coefficients(points)
    kernel[-1, -1] = tile[-1, -1] = 1.0
    return patch, kernel, tile


def _coefficients(roots: Sequence[float]) -> Tensor:
    """Of the polynomial with these roots, constant first; the leading one is 1."""
    coefficients = torch.ones(1, dtype=torch.float64)
    for root in roots:
        longer = torch.zeros(len(coefficients) + 1, dtype=torch.float64)
        longer[1:] = coefficients
        longer[:-1] -= root * coefficients
        coefficients = longer
    return coefficients
