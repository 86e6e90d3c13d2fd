"""Fitting the window network of lite: OpenCV runs what PyTorch fitted, and a fit repeats bit for bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nodes.decoder.lite.window_network import CHANNELS  # noqa: E402
from tools import roll_outs, window_data, window_fitting  # noqa: E402


@pytest.mark.parametrize("size", [(64, 48), (8, 136)])
def test_opencv_computes_what_was_fitted_for_windows_of_any_size(size, tmp_path):
    torch.manual_seed(1)
    model = window_fitting.WindowModel(torch.randn(CHANNELS), 0.5 + torch.rand(CHANNELS))
    torch.nn.init.normal_(model.last.weight, std=0.1)
    file = tmp_path / "network.onnx"
    file.write_bytes(model.to_onnx())
    x = np.random.default_rng(0).normal(size=(1, CHANNELS, *size)).astype(np.float32)
    network = cv2.dnn.readNetFromONNX(str(file))
    network.setInput(np.ones((1, CHANNELS, 16, 16), np.float32))
    network.forward()  # the network has seen another size before
    network.setInput(x)
    with torch.no_grad():
        assert network.forward() == pytest.approx(model(torch.from_numpy(x)).numpy(), abs=2e-3)


def test_an_unfitted_network_adds_nothing():
    model = window_fitting.WindowModel(torch.zeros(CHANNELS), torch.ones(CHANNELS))
    assert not model(torch.randn(1, CHANNELS, 16, 16)).any()


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roll_outs, "FRAMES", 6)
        return window_data.store_windows(2, None, tmp_path_factory.mktemp("windows"))


def test_the_windows_of_a_clip_have_the_inputs_that_a_network_takes(windows):
    assert windows
    for ref in windows:
        planes, truth = window_data.read_window(ref)
        assert planes.shape == (CHANNELS, *truth.shape)
        assert np.isfinite(planes).all()
        assert 0 <= truth.min() <= truth.max() <= 1


def test_a_fit_repeats_bit_for_bit(windows):
    def fitted(seed):
        with ThreadPoolExecutor(1) as pool:
            plan = window_fitting.Plan(windows, 2, 1e-3, seed)
            fit = window_fitting.fit_in_parallel(pool, window_fitting.start_fit(windows, seed), plan)
        return window_fitting.load_model(fit).to_onnx()

    assert fitted(0) == fitted(0) != fitted(1)


def test_what_windows_are_filled_up_with_counts_nothing():
    planes = np.zeros((CHANNELS, 10, 12), np.float32)
    x, truth, counted = window_fitting.stack_windows([(planes, np.ones((10, 12), np.float32))])
    assert x.shape == (1, CHANNELS, 12, 12)
    assert counted.sum() == 120
    logits = torch.zeros(1, 1, 12, 12)
    changed = logits.clone()
    changed[..., 10:, :] = 9
    losses = [float(window_fitting.measure_loss(z, truth, counted)) for z in (logits, changed)]
    assert losses[0] == pytest.approx(losses[1])
