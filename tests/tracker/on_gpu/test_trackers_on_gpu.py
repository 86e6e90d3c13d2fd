"""Every point tracker on a GPU says what it says on the CPU, with weights by rule; what a GPU without memory does."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest
from running import ROOT
from tracker.small_pips import query, textured
from tracker.weights_by_rule import checkpoint_of

from nodes.tracker.backends import make_model
from stream.errors import ModelError
from stream.settings.config import Tracker

torch = pytest.importorskip("torch")

SIZE = (128, 160)
XY = np.array([[40, 30], [70.5, 61.25], [100, 90], [20, 100]], np.float32)
FLOWS = ("pips", "raft", "tapnet")
MATCHERS = ("superglue", "lightglue")
XY_PX, VISIBILITY = 1e-2, 1e-3  # the tolerances of golden numbers
LEAST_SHARED = 0.97  # of keypoints and matches: one at the limit of its score may be on either side

pytestmark = pytest.mark.gpu


@pytest.fixture
def model_of(tmp_path):
    """Makes a backend on a device, from one file of weights."""

    @functools.cache
    def checkpoint(backend):
        return checkpoint_of(backend, tmp_path)

    def make(backend, device, **keys):
        plain = {"size": "128x160", "flow_updates": 4, "max_keypoints": 300, "horizon": 4, "device": str(device)}
        return make_model(Tracker(backend=backend, checkpoint=checkpoint(backend), **{**plain, **keys}))

    return make


def follow(model, frames=4):
    """The trajectories of a few points."""
    features = [model.encode(rgb) for rgb in textured(frames, SIZE)]
    return model.track(features, query(model, features[0], XY), None)


@pytest.mark.parametrize("backend", FLOWS)
def test_points_go_where_they_go_on_the_cpu(backend, gpu, model_of):
    expected, model = follow(model_of(backend, "cpu")), model_of(backend, gpu)
    for _ in range(2):  # the second time, what was recorded in the first
        found = follow(model)
        assert np.abs(found.xy - expected.xy).max() <= XY_PX
        assert np.abs(found.visibility - expected.visibility).max() <= VISIBILITY


@pytest.mark.parametrize("backend", MATCHERS)
def test_pictures_have_the_keypoints_and_matches_that_they_have_on_the_cpu(backend, gpu, model_of):
    pairs = []
    for device in ("cpu", gpu):
        model = model_of(backend, device)
        before, after = (model.encode(rgb) for rgb in textured(2, SIZE))
        keypoints = {tuple(xy) for xy in before.keypoints.xy.round().tolist()}
        matches = {(*a, *b) for a, b in zip(*(xy.round().tolist() for xy in model.matched(before, after)), strict=True)}
        pairs.append((keypoints, matches))
    for expected, found in zip(*pairs, strict=True):
        assert len(expected) > 20
        assert len(expected & found) >= LEAST_SHARED * len(expected | found)


@pytest.mark.parametrize("backend", ["pips", "raft"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_rounds_and_no_more(backend, precision, gpu, model_of):
    if precision == "float16" and gpu.type == "cpu":
        pytest.skip("a CPU does not compute in float16")
    expected, found = (
        follow(model_of(backend, device, precision=kind)) for device, kind in (("cpu", "float32"), (gpu, precision))
    )
    assert np.isfinite(found.xy).all()
    assert np.median(np.abs(found.xy - expected.xy)) <= 0.5


def test_a_gpu_without_memory_passes_the_frame_over_and_goes_on(gpu, model_of):
    if gpu.type == "cpu":
        pytest.skip("needs a GPU")
    model = model_of("raft", gpu, size="512x640")
    rgb, later = textured(2, (512, 640))
    features = model.encode(rgb)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-4, gpu)  # less than the weights alone
    try:
        with pytest.raises(ModelError, match=r"^out of memory"):
            model.flow(features, model.encode(later))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)
    assert np.isfinite(model.flow(features, model.encode(later))).all()


LOSE_DEVICE = """
import torch
from stream.weights.devices import reporting_memory

torch.zeros(1, device="cuda")
with reporting_memory("decoding masks"):
    torch.ones(1, device="cuda")[torch.full((1,), 9, device="cuda")]
    torch.cuda.synchronize()
"""


def test_a_lost_device_is_no_answer_but_an_error_that_ends_the_node(gpu):
    if gpu.type == "cpu":
        pytest.skip("needs a GPU")
    ended = subprocess.run(
        [sys.executable, "-c", LOSE_DEVICE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode != 0
    last = ended.stderr.strip()
    assert "CUDA error" in last
    assert "ModelError" not in last  # it would only pass a frame over, and all frames after it
