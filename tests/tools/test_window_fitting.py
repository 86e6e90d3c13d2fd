"""Fitting the window network of lite: OpenCV runs what PyTorch fitted, and a fit repeats bit for bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nodes.decoder.lite.cues import NAMES  # noqa: E402
from nodes.decoder.lite.window_network import CHANNELS, fill_up, spread_outputs  # noqa: E402
from tools import roll_outs, window_data, window_fitting  # noqa: E402


@pytest.mark.parametrize("size", [(64, 48), (8, 136), (61, 47)])
def test_opencv_computes_what_was_fitted_for_windows_of_any_size(size, tmp_path):
    torch.manual_seed(1)
    model = window_fitting.WindowModel(torch.randn(CHANNELS), 0.5 + torch.rand(CHANNELS))
    torch.nn.init.normal_(model.last.weight, std=0.1)
    file = tmp_path / "network.onnx"
    file.write_bytes(model.to_onnx())
    rng = np.random.default_rng(0)
    x = fill_up(rng.normal(size=(len(NAMES), *size)).astype(np.float32), rng.normal(size=size).astype(np.float32))
    network = cv2.dnn.readNetFromONNX(str(file))
    network.setInput(np.ones((1, CHANNELS, 16, 16), np.float32))
    network.forward()  # the network has seen another size before
    network.setInput(x[None])
    with torch.no_grad():
        expected = model(torch.from_numpy(x[None])).numpy()[0, 0]
    assert spread_outputs(network.forward()[0]) == pytest.approx(expected, abs=2e-3)


def test_what_a_window_is_filled_up_with_repeats_its_edge():
    planes = np.arange(len(NAMES) * 6 * 7, dtype=np.float32).reshape(len(NAMES), 6, 7)
    whole = fill_up(planes, planes[0])
    assert whole.shape == (CHANNELS, 8, 8)
    assert (whole[:-1, :6, :7] == planes).all()
    assert (whole[-1, :6, :7] == planes[0]).all()
    assert (whole[:, 6:] == whole[:, 5:6]).all()
    assert (whole[:, :, 7:] == whole[:, :, 6:7]).all()


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
        *planes, truth = window_data.read_window(ref)
        assert np.shape(planes) == (CHANNELS, *ref.size)
        assert np.isfinite(planes).all()
        assert 0 <= truth.min() <= truth.max() <= 1


def fit(windows, seed, steps=2, file=None):
    with ThreadPoolExecutor(1) as pool:
        plan = window_fitting.Plan(windows, steps, 1e-3, seed)
        return window_fitting.fit_in_parallel(pool, window_fitting.start_fit(windows, seed), plan, file)


def test_a_fit_repeats_bit_for_bit(windows):
    first, again, other = (window_fitting.load_model(fit(windows, seed)).to_onnx() for seed in (0, 0, 1))
    assert first == again != other


def test_a_fit_that_was_interrupted_goes_on_as_if_nothing_had_been(windows, tmp_path, monkeypatch):
    monkeypatch.setattr(window_fitting, "SEGMENT", 1)
    whole, file = fit(windows, 0), tmp_path / "fit.pt"

    def stop_after_one(fits):
        file_at.append(average(fits))
        return file_at[-1]

    file_at, average = [], window_fitting._average
    monkeypatch.setattr(window_fitting, "_average", stop_after_one)
    fit(windows, 0)
    torch.save(vars(file_at[0]), file)
    assert window_fitting.load_model(fit(windows, 0, file=file)).to_onnx() == window_fitting.load_model(whole).to_onnx()


def test_the_windows_of_a_clip_are_not_drawn_twice(windows, monkeypatch):
    monkeypatch.setattr(window_data, "draw_training_clip", None)
    assert window_data.store_windows(2, None, windows[0].file.parent) == windows


def test_what_windows_are_filled_up_with_counts_nothing():
    x, truth, counted = window_fitting.stack_windows([np.ones((CHANNELS + 1, 10, 12), np.float16)])
    assert x.shape == (1, CHANNELS, 16, 16)
    assert counted.sum() == 120
    logits = torch.zeros(1, 1, 16, 16)
    changed = logits.clone()
    changed[..., 10:, :] = 9
    losses = [float(window_fitting.measure_loss(z, truth, counted)) for z in (logits, changed)]
    assert losses[0] == pytest.approx(losses[1])
