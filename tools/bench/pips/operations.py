"""How many floating-point operations PIPS takes, counted from its shapes; a multiplication and an addition are two."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import torch
from torch import nn

from nodes.tracker.pips.correlation import CHANNELS, LEVELS, SIDE
from nodes.tracker.pips.feature_encoder import Encoder
from nodes.tracker.pips.network import BLOCKS, CHANGE, ITERATIONS, TOKEN, WIDTH, S
from nodes.tracker.pips.winograd import tile_for
from stream.geometry import Size

SHRINKS = {"conv1": 2, "layer1": 2, "layer2": 4, "layer3": 8, "layer4": 16}  # of a frame's sides; the rest: the stride


def encoder(size: Size, stride: int = 4) -> int:
    """For one frame, by the plain convolutions: outputs x inputs x taps."""
    return sum(2 * h * w * c.weight.numel() for c, h, w in _convolutions(size, stride))


def encoder_by_winograd(size: Size, stride: int = 4) -> int:
    """For one frame, where 3x3 convolutions of stride 1 are Winograd's: products and both changes of basis."""
    done = 0
    for conv, h, w in _convolutions(size, stride):
        if conv.kernel_size == (3, 3) and conv.stride == (1, 1):
            inputs, outputs = conv.in_channels, conv.out_channels
            high, wide = tile_for(inputs)
            values = (high + 2) * (wide + 2)
            a_tile = values * inputs * outputs + values**2 * inputs + high * wide * values * outputs
            done += 2 * ceil(h / high) * ceil(w / wide) * a_tile
        else:
            done += 2 * h * w * conv.weight.numel()
    return done


def correlation(points: int) -> int:
    """For a window: dot products with 8x8 pixels of every level, frame and iteration, then two interpolations."""
    whole, across = (SIDE + 1) ** 2, (SIDE + 1) * SIDE
    a_level = 2 * whole * CHANNELS + 3 * (across + SIDE**2)
    return points * S * LEVELS * ITERATIONS * a_level


def mixer(points: int) -> int:
    """For a window: the matrix products of 6 iterations, 2.5e9 a point."""
    over_time, over_channels = 2 * S * 4 * S * WIDTH, 2 * S * WIDTH * 4 * WIDTH
    products = S * TOKEN * WIDTH + BLOCKS * (over_time + over_channels) + WIDTH * S * CHANGE
    return 2 * points * ITERATIONS * products


def matrix_product(side: int) -> int:
    """Of two square matrices."""
    return int(2 * side**3)


def _convolutions(size: Size, stride: int) -> Iterator[tuple[nn.Conv2d, int, int]]:
    """Each convolution of the encoder, and the size (h, w) of what it makes."""
    with torch.device("meta"):
        named = list(Encoder(stride).named_modules())
    for name, module in named:
        if isinstance(module, nn.Conv2d):
            shrink = SHRINKS.get(name.partition(".")[0])
            h, w = (side // stride if shrink is None else ceil(side / shrink) for side in size)
            yield module, h, w
