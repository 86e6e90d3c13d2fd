"""tools/fit_clicks.py: drawn frames with clicks in, a network that OpenCV reads and the weights of a choice out."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from nodes.decoder.lite.prompts.click_choice import MEASURES
from nodes.decoder.lite.prompts.prompt_cues import NAMES
from nodes.decoder.lite.window_network import WindowNetwork
from tools import fit_clicks
from tools.clips.layered_scene import Variety
from tools.fitting import choice_fitting, click_data
from tools.fitting.window_data import read_window

TINY = ["--clips", "2", "--choices", "1", "--unseen", "1", "--steps", "2", "--jobs", "1"]


def test_a_network_and_a_choice_are_fitted_measured_and_written(in_this_process, tmp_path, capsys):
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    assert fit_clicks.main(["--out", str(out), "--scratch", str(scratch), *TINY]) == 0
    planes = np.zeros((len(NAMES) + 1, 24, 32), np.float32)
    assert WindowNetwork(out / "points_network.onnx").refine(planes[1:], planes[0]).shape == (24, 32)
    assert WindowNetwork(out / "points_again_network.onnx").refine(planes, planes[0]).shape == (24, 32)
    choice = json.loads((out / "click_choice.json").read_text())
    assert {name: len(values) for name, values in choice.items()} == {
        "mean": len(MEASURES),
        "spread": len(MEASURES),
        "weights": 2 * len(MEASURES),
    }
    text = capsys.readouterr().out
    assert "points_network: 0.7 of what it adds: IoU" in text
    assert "points_again_network: 0.7 of what it adds: IoU" in text
    assert "on unseen frames: IoU" in text
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--clips", "0", "--clips is 0; needs 1 or more"),
        ("--seed", "-1", "--seed is -1; needs 0 or more"),
        ("--scratch", "no/such", "--scratch no/such: the folder does not exist"),
    ],
)
def test_wrong_options_are_named(option, value, complaint, tmp_path, capsys):
    assert fit_clicks.main(["--out", str(tmp_path), option, value]) == 2
    assert complaint in capsys.readouterr().err


def test_prompts_have_the_inputs_that_a_network_takes(tmp_path):
    refs = click_data.store_clicks(300_001, Variety.RICH, tmp_path)
    assert refs
    for ref in refs:
        *planes, truth = read_window(ref)
        assert np.shape(planes) == (len(NAMES) + 1, *ref.size)
        assert np.isfinite(planes).all()
        assert 0 <= truth.min() <= truth.max() <= 1
        assert truth.max() > 0.5


def test_clicks_lie_on_the_object_or_beside_it_as_their_labels_say():
    truth = np.zeros((120, 160), np.uint8)
    cv2.ellipse(truth, (80, 60), (40, 20), 30, 0, 360, 1, -1)
    rgb, rng = np.repeat(90 * truth[..., None], 3, axis=2), np.random.default_rng(0)
    counts = set()
    for _ in range(60):
        clicks = click_data.draw_clicks(truth, rgb, rng)
        x, y = np.rint(clicks.xy).astype(int).T
        assert truth[y, x].tolist() == clicks.labels.tolist()
        counts.add(int((clicks.labels == 1).sum()))
    assert {1, 8} < counts


def test_a_choice_is_fitted_to_what_tells_good_masks_from_bad_ones():
    rng = np.random.default_rng(0)
    clicks = []
    for _ in range(80):
        measures = rng.normal(size=(6, len(MEASURES))).astype(np.float32)
        # near the middle of one measure, and high in another
        ious = 1 / (1 + np.exp(measures[:, 3] ** 2 - 2 * measures[:, 5]))
        clicks.append(choice_fitting.OneClick(measures, ious.astype(np.float32)))
    weights = choice_fitting.fit_choice(clicks[:60])
    chosen, best = (
        np.mean([c.ious[i] for c, i in zip(clicks[60:], numbers, strict=True)])
        for numbers in (
            [np.argmax(weights.score(c.measures)) for c in clicks[60:]],
            [np.argmax(c.ious) for c in clicks[60:]],
        )
    )
    assert chosen > 0.9 * best
    assert choice_fitting.choice_to_json(weights) == choice_fitting.choice_to_json(
        choice_fitting.fit_choice(clicks[:60])
    )
