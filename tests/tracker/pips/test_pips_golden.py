"""PIPS computes what another implementation has computed with the same deterministic weights."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from tracker.small_pips import network

from nodes.tracker.pips.correlation import build_pyramids, correlate, look_up
from nodes.tracker.pips.network import Pips, embed
from tools.goldens.weights import checksum, pips_weights

FEATURE = 1e-4  # the largest error of feature maps, correlations and embeddings
PX = 2e-3
LOGIT = 1e-3

WINDOWS = [("pips_random_clip", "s4_", 4), ("pips_random_clip", "s8_", 8), ("pips_window_dog", "", 4)]


def close(ours, golden, most):
    assert ours.shape == golden.shape
    assert float(np.abs(np.asarray(ours) - golden).max()) < most


@functools.cache
def window(golden: Path, name: str, prefix: str, stride: int):
    """What is golden of a window, and what we say: its pyramids, first features, run and first intermediates."""
    with np.load(golden / f"{name}.npz") as file:
        numbers = {k.removeprefix(prefix): file[k] for k in file if k.startswith(prefix)}
        frames = file.get("frames")
    if frames is None:
        (film,) = golden.glob(f"clip_{name.rpartition('_')[2]}_*.npz")
        with np.load(film) as file:
            frames = file["frames"][:8]
    net = network(stride)
    pyramids = [net.encode(torch.from_numpy(f).permute(2, 0, 1)[None])[0] for f in frames]
    xy = torch.from_numpy(numbers["xys"])
    first = net.describe(pyramids[0], xy)
    told: dict[str, torch.Tensor] = {}
    run = net.follow(pyramids, xy, first, watch=told.setdefault)
    return numbers, pyramids, first, run, told


def test_the_random_weights_are_those_of_the_recipe():
    assert checksum(pips_weights(0)) == pytest.approx((12738.545568, 765877.944258), abs=1e-5)


def test_the_network_has_the_tensors_of_the_official_checkpoint():
    state = network().state_dict()
    assert len(state) == 200
    assert sum(t.numel() for t in state.values()) == 28_677_713
    assert state["delta_block.to_delta.12.0.fn.3.weight"].shape == (8, 32, 1)
    assert state["fnet.layer2.0.downsample.0.weight"].shape == (96, 64, 1, 1)
    assert {t.dtype for t in state.values()} == {torch.float32}


def test_embedding_lookup_and_correlation_agree(golden):
    with np.load(golden / "pips_functions.npz") as file:
        numbers = {k: torch.from_numpy(file[k]) for k in file}
    close(embed(numbers["emb_in"]), numbers["emb_out"].numpy(), FEATURE)
    (pyramid,) = build_pyramids(numbers["lookup_map"][None])
    close(look_up(pyramid, numbers["lookup_xy"]), numbers["lookup_out"].numpy(), FEATURE)
    pyramids = build_pyramids(numbers["corr_fmaps"])
    ours = correlate(pyramids, numbers["corr_targets"], numbers["corr_coords"])
    close(ours, numbers["corr_out"].numpy(), FEATURE)


@pytest.mark.parametrize(("name", "prefix", "stride"), WINDOWS)
def test_feature_maps_agree(golden, name, prefix, stride):
    numbers, pyramids, *_ = window(golden, name, prefix, stride)
    maps = np.stack([p.level(0).permute(2, 0, 1).numpy() for p in pyramids])
    assert maps.shape == tuple(numbers["fmaps_shape"])
    close(maps[:, ::4, ::4, ::4], numbers["fmaps_sub"], FEATURE)
    close(maps.mean(axis=(1, 2, 3)), numbers["fmaps_mean"], FEATURE)
    close(maps.std(axis=(1, 2, 3)), numbers["fmaps_std"], FEATURE)


@pytest.mark.parametrize(("name", "prefix", "stride"), WINDOWS)
def test_the_first_iteration_agrees_step_by_step(golden, name, prefix, stride):
    numbers, pyramids, first, _, told = window(golden, name, prefix, stride)
    close(first, numbers["feat_init"], FEATURE)
    assert [pyramids[0].level(i).shape[:2] for i in range(4)] == [tuple(s) for s in numbers["corr0_level_shapes"]]
    coarsest = np.stack([(p.level(3) @ first[0] / 128**0.5).numpy() for p in pyramids])
    close(coarsest, numbers["corr0_level3_p0"], FEATURE)
    close(told["corr"].transpose(0, 1), numbers["it0_fcorr"], FEATURE)
    close(told["flow"].transpose(0, 1), numbers["it0_flow"], FEATURE)
    close(told["mixer_in"].transpose(0, 1), numbers["it0_mixer_in"], FEATURE)
    close(told["mixer_out"], numbers["it0_mixer_out"], FEATURE)
    close(told["feature_change"].transpose(0, 1), numbers["it0_ffeat_update"], FEATURE)


@pytest.mark.parametrize(("name", "prefix", "stride"), WINDOWS)
def test_trajectories_of_every_iteration_and_visibility_agree(golden, name, prefix, stride):
    numbers, _, _, run, _ = window(golden, name, prefix, stride)
    close(run.iterates, numbers["traj_iters"], PX)
    close(run.visibility_logits, numbers["vis_logits"], LOGIT)
    close(run.features, numbers["feat_final"], 1e-3)


def test_the_mixer_in_bfloat16_stays_within_half_a_pixel_on_the_real_clip(golden):
    numbers, pyramids, first, _, _ = window(golden, *WINDOWS[2])
    lower = Pips()
    lower.load_state_dict(network().state_dict())
    lower.compute_in(torch.bfloat16)
    some = slice(0, 3)  # without instructions for it, bfloat16 is slow
    run = lower.follow(pyramids, torch.from_numpy(numbers["xys"][some]), first[some])
    error = np.abs(run.iterates.numpy() - numbers["traj_iters"][:, :, some])
    assert 0 < error.max() < 0.5
