"""Fitting the lite preset's weights: a network fits what it can fit, and the same twice."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nodes.decoder.lite import cues, fusion
from nodes.decoder.lite.prompts import prompt_cues
from tools import fit_lite
from tools.fitting import pixel_fitting, roll_outs


def ring(count: int, seed: int) -> pixel_fitting.Samples:
    """Points in a plane, those in a ring the object's: no line can part them."""
    rng = np.random.default_rng(seed)
    xy = rng.normal(size=(count, 2)).astype(np.float32)
    inside = (np.abs(np.hypot(xy[:, 0], xy[:, 1]) - 1) < 0.4).astype(np.float32)
    return pixel_fitting.Samples(xy, inside, np.ones(count, np.float32))


def test_a_network_fits_what_no_line_can_part_and_the_same_twice():
    data, unseen = ring(20_000, 0), ring(5_000, 1)
    network = pixel_fitting.fit_network(data, 60, 0)
    assert np.array_equal(pixel_fitting.fit_network(data, 2, 0).w1, pixel_fitting.fit_network(data, 2, 0).w1)
    planes = np.ascontiguousarray(unseen.cues.T).reshape(2, 50, 100)
    right = (network(planes).ravel() > 0) == (unseen.truth > 0.5)
    assert right.mean() > 0.93


def test_the_compiled_network_gives_what_its_layers_say():
    rng = np.random.default_rng(0)
    shapes = ((32, 23), (32,), (16, 32), (16,), (16,))
    w1, b1, w2, b2, w3 = (rng.normal(size=s).astype(np.float32) for s in shapes)
    planes = rng.normal(size=(23, 19, 31)).astype(np.float32)
    x = planes.reshape(23, -1)
    one = w1 @ x + b1[:, None]
    two = w2 @ np.maximum(one, 0.1 * one) + b2[:, None]
    expected = w3 @ np.maximum(two, 0.1 * two) + 0.5
    assert fusion.FusionNetwork(w1, b1, w2, b2, w3, 0.5)(planes).ravel() == pytest.approx(expected, abs=1e-2, rel=1e-3)


def test_weights_survive_being_written(tmp_path, monkeypatch):
    network = pixel_fitting.fit_network(ring(9_000, 0), 1, 0)
    file = tmp_path / "weights.json"
    file.write_text(json.dumps({"follow": pixel_fitting.network_to_json(network)}))
    monkeypatch.setattr(fusion, "WEIGHTS", file)
    fusion.load_network.cache_clear()
    assert fusion.load_network("follow").w1 == pytest.approx(network.w1, rel=1e-4)
    fusion.load_network.cache_clear()


def test_the_weights_that_ship_fit_the_cues_that_are_collected():
    for name, count in (
        ("follow", len(cues.NAMES)),
        ("points", len(prompt_cues.NAMES)),
        ("box", len(prompt_cues.NAMES)),
    ):
        network = fusion.load_network(name)
        assert network.w1.shape == (32, count)
        assert np.isfinite(network.w1).all()


def test_a_tiny_fit_writes_all_networks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(roll_outs, "FRAMES", 6)
    monkeypatch.setattr(fit_lite, "BATCH", 256)
    monkeypatch.setattr(pixel_fitting, "BATCH", 256)
    out = tmp_path / "weights.json"
    assert fit_lite.main(["--clips", "1", "--check", "0", "--jobs", "1", "--out", str(out), "--seed", "2"]) == 0
    assert set(json.loads(out.read_text())) == {"follow", "points", "box"}
    assert "follow: fitted to" in capsys.readouterr().out


def test_the_samples_of_a_clip_are_the_same_bit_for_bit_wherever_its_arrays_lie(monkeypatch):
    monkeypatch.setattr(roll_outs, "FRAMES", 4)
    first_follow, first_prompts = fit_lite.draw_samples(3, fusion.fuse_by_hand, (4, 13), True)
    for size in (3_000, 70_001, 500_003):
        moved = np.empty(size, np.uint8)  # what comes after it lies elsewhere
        follow, prompts = fit_lite.draw_samples(3, fusion.fuse_by_hand, (4, 13), True)
        assert np.array_equal(follow.cues, first_follow.cues)
        assert all(np.array_equal(prompts[kind].cues, first_prompts[kind].cues) for kind in ("points", "box"))
        del moved


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--clips", "0"], "--clips is 0; needs 1 or more"),
        (["--check", "-1"], "--check is -1; needs 0 or more"),
        (["--seed", "90"], "--seed is 90; needs 89 or less"),
        (["--out", "/nowhere/at/all.json"], "does not exist"),
    ],
)
def test_wrong_arguments_are_reported_in_a_line(arguments, word, capsys):
    assert fit_lite.main(arguments) == 2
    assert word in capsys.readouterr().err
