"""Fitting the window network of lite: OpenCV runs what PyTorch fitted, and a fit repeats bit for bit."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nodes.decoder.lite.cues import NAMES  # noqa: E402
from nodes.decoder.lite.window_network import CHANNELS, fill_up, spread_outputs  # noqa: E402
from tools.clips.layered_scene import Variety  # noqa: E402
from tools.fitting import window_data, window_fitting, window_model  # noqa: E402


@pytest.mark.parametrize("size", [(64, 48), (8, 136), (61, 47)])
def test_opencv_computes_what_was_fitted_for_windows_of_any_size(size, tmp_path):
    torch.manual_seed(1)
    model = window_model.WindowModel(torch.randn(CHANNELS), 0.5 + torch.rand(CHANNELS))
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
    model = window_model.WindowModel(torch.zeros(CHANNELS), torch.ones(CHANNELS))
    assert not model(torch.randn(1, CHANNELS, 16, 16)).any()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return window_data.store_clip(18, 8, Variety.RICH, tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def windows(stored, tmp_path_factory):
    return window_data.store_windows(stored, None, 0, tmp_path_factory.mktemp("windows"))


def test_the_windows_of_a_clip_have_the_inputs_that_a_network_takes(windows):
    assert windows
    for ref in windows:
        *planes, truth = window_data.read_window(ref)
        assert np.shape(planes) == (CHANNELS, *ref.size)
        assert np.isfinite(planes).all()
        assert 0 <= truth.min() <= truth.max() <= 1


def test_a_network_leads_to_other_windows_than_the_pixels_alone(stored, windows, tmp_path):
    model, file = window_model.WindowModel(torch.zeros(CHANNELS), torch.ones(CHANNELS)), tmp_path / "network.onnx"
    torch.nn.init.normal_(model.last.bias, mean=-3)
    file.write_bytes(model.to_onnx())
    led = window_data.store_windows(stored, file, 0, tmp_path)
    assert [r.size for r in led] != [r.size for r in windows] or not np.array_equal(
        window_data.read_window(led[-1]), window_data.read_window(windows[-1])
    )


def fit(windows, seed, steps=2, **options):
    with ThreadPoolExecutor(1) as pool:
        plan = window_fitting.Plan(windows, steps, 1e-3, seed, **options)
        return window_fitting.fit_in_parallel(pool, window_fitting.start_fit(windows, seed), plan)


@pytest.mark.parametrize("disturbed", [False, True])
def test_a_fit_repeats_bit_for_bit(windows, disturbed):
    fits = [fit(windows, seed, disturbed=disturbed) for seed in (0, 0, 1)]
    first, again, other = (window_fitting.load_model(f).to_onnx() for f in fits)
    assert first == again != other


def test_a_segment_changes_nothing_of_what_it_goes_on_with(windows):
    before = fit(windows, 0)  # processes that fit side by side are given the same memory
    kept = copy.deepcopy(before)
    window_fitting.fit_segment((before, window_fitting.Plan(windows, before.step + 1, 1e-3, 0), 0))
    assert before.step == kept.step
    for one, other in zip([before.model, *before.moments], [kept.model, *kept.moments], strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_fit_ends_early_where_its_time_is_over(windows, capsys):
    device = window_fitting.Device("cpu", parts=1, segment=1, batch=1, step_s=1)
    assert fit(windows, 0, steps=1000, device=device, limit_s=1e-3).step == 1
    assert "time for 1 of 1000 steps only" in capsys.readouterr().out


def test_threads_that_read_ahead_change_nothing(windows):
    device = window_fitting.Device("cpu", parts=1, segment=1, batch=3, step_s=1)
    plan = window_fitting.Plan(windows, 12, 1e-3, 0, device)
    alone, ahead = (list(window_fitting.batches(plan, 12, np.random.default_rng(0), readers)) for readers in (0, 2))
    assert len(alone) == len(ahead) == 12
    assert all(
        torch.equal(a, b) for one, other in zip(alone, ahead, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_windows_that_have_an_upper_end_are_not_turned_over(tmp_path):
    ramp = np.zeros((CHANNELS + 1, 16, 16), np.float16) + np.arange(16, dtype=np.float16)[:, None]
    ref = window_data.WindowRef(tmp_path / "ramp.npy", (16, 16))
    np.save(ref.file, ramp)
    device = window_fitting.Device("cpu", parts=1, segment=1, batch=1, step_s=1)
    for upside_down, values in ((False, {0.0}), (True, {0.0, 15.0})):
        plan = window_fitting.Plan([ref], 20, 1e-3, 0, device, upside_down=upside_down)
        first_rows = [
            planes[0, 0, 0, 0].item() for planes, _ in window_fitting.batches(plan, 20, np.random.default_rng(0))
        ]
        assert set(first_rows) == values


def test_disturbed_inputs_keep_their_mean_and_some_are_left_out():
    x = torch.randn(40, CHANNELS, 4, 4) + 5
    mean = torch.full((1, CHANNELS, 1, 1), 5.0)
    disturbed = window_fitting.disturb(x, mean, np.random.default_rng(0))
    left_out = (disturbed == 5).all(dim=(2, 3)).float().mean()
    assert 0.02 < left_out < 0.12
    assert float(disturbed.mean()) == pytest.approx(5, abs=0.1)


def test_doubling_is_that_of_bilinear_interpolation():
    x = torch.randn(2, 3, 5, 7)
    expected = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    assert window_model._double(x).numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_what_windows_are_filled_up_with_counts_nothing():
    planes, counted = (p.float() for p in window_fitting.stack_windows([np.ones((CHANNELS + 1, 10, 12), np.float16)]))
    assert planes.shape == (1, CHANNELS + 1, 16, 16)
    truth = planes[:, -1:]
    assert counted.sum() == 120
    logits = torch.zeros(1, 1, 16, 16)
    changed = logits.clone()
    changed[..., 10:, :] = 9
    losses = [float(window_fitting.measure_loss(z, truth, counted)) for z in (logits, changed)]
    assert losses[0] == pytest.approx(losses[1])
