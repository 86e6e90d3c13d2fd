"""The parts of PIPS against their plain definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional
from tracker.small_pips import network

from nodes.tracker.pips.correlation import build_pyramids, correlate, look_up
from nodes.tracker.pips.network import embed


def plain_correlation(maps, features, coords):
    """The whole volume of every level, sampled: zeros outside, the first index moves x."""
    said, level = [], maps
    for depth in range(4):
        volume = torch.einsum("snc,schw->snhw", features, level) / math.sqrt(features.shape[2])
        h, w = level.shape[2:]
        step = torch.arange(-3.0, 4.0)
        dx, dy = torch.meshgrid(step, step, indexing="ij")
        at = coords[:, :, None, None] / 2**depth + torch.stack([dx, dy], dim=-1)  # (S, N, 7, 7, 2)
        at = 2 * at / torch.tensor([w - 1, h - 1]) - 1
        for_each = volume.reshape(-1, 1, h, w), at.reshape(-1, 7, 7, 2)
        sampled = functional.grid_sample(*for_each, mode="bilinear", padding_mode="zeros", align_corners=True)
        said.append(sampled.reshape(*coords.shape[:2], 49))
        level = functional.avg_pool2d(level, 2)
    return torch.cat(said, dim=2)


def test_sampling_features_first_says_what_the_whole_correlation_volume_says():
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(8, 16, 22, 35, generator=generator)  # odd sizes lose their border on the way down
    features = torch.randn(8, 21, 16, generator=generator)
    coords = torch.rand(8, 21, 2, generator=generator) * torch.tensor([55.0, 42.0]) - 10  # a third lie outside
    ours = correlate(build_pyramids(maps), features, coords)
    torch.testing.assert_close(ours, plain_correlation(maps, features, coords), atol=2e-5, rtol=0)


def test_correlations_far_outside_are_zero():
    maps = torch.ones(8, 16, 16, 16)
    coords = torch.tensor([[1e12, 5.0], [5.0, -1e12], [-3e38, 3e38]]).repeat(8, 1, 1)
    assert not correlate(build_pyramids(maps), torch.ones(8, 3, 16), coords).any()


def test_a_lookup_outside_reads_the_border():
    levels = torch.arange(20 * 24.0).view(1, 1, 20, 24).repeat(1, 2, 1, 1)
    (pyramid,) = build_pyramids(levels)
    xy = torch.tensor([[0.5, 0], [-7, 3], [40, 3.5], [5, 400], [23, 19]])
    assert look_up(pyramid, xy)[:, 0].tolist() == [0.5, 72, 23 + 24 * 3.5, 24 * 19 + 5, 479]


def test_the_embedding_is_pairs_of_sine_and_cosine_of_rising_frequency_then_the_values():
    said = embed(torch.tensor([0.1, -0.2, 0.3]))
    assert said.shape == (195,)
    assert said[2 * 3].item() == pytest.approx(math.sin(31.25 * 3 * 0.1), abs=1e-5)
    assert said[64 + 2 * 31 + 1].item() == pytest.approx(math.cos(31.25 * 31 * -0.2), abs=1e-4)
    assert said[192:].tolist() == pytest.approx([0.1, -0.2, 0.3])


def test_the_mixer_is_that_of_its_convolutions_and_layers():
    """Our mixer multiplies matrices over (S, N, ...); the published one convolves (N, S, ...) with one tap."""
    mixer = network().delta_block.to_delta
    tokens = torch.randn(8, 3, 519, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        x = mixer["0"](tokens.transpose(0, 1))  # (N, S, 512)
        for i in range(1, 13):
            for part in mixer[str(i)]:
                x = x + part.fn["3"](functional.gelu(part.fn["0"](part.norm(x))))
        expected = mixer["15"](mixer["13"](x).mean(1))
        torch.testing.assert_close(network().delta_block(tokens), expected, atol=2e-5, rtol=0)
