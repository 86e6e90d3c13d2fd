"""PIPS as a point model: windows, points and frame sizes in, trajectories in frame px out."""

from __future__ import annotations

import copy
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from tracker.small_pips import SIZE, clip, network, query
from tracker.weights_by_rule import checkpoint_of
from weights.repeated_recordings import repeated_recordings

from nodes.tracker.pips.backend import PipsModel, _fitted, _resized, make_pips
from nodes.tracker.pips.correlation import build_pyramids, correlate
from nodes.tracker.point_model import Trajectories
from stream import geometry
from stream.errors import ConfigError, ModelError
from stream.settings.config import Tracker, parse_fit_size
from stream.weights.devices import choose_precision

XY = [[20, 30], [50.5, 11.25], [0, 0], [90, 60], [70, 40]]


@pytest.fixture(scope="module")
def model():
    return PipsModel(network())


@pytest.fixture(scope="module")
def features(model):
    return [model.encode(frame) for frame in clip(8)]


def test_a_short_window_is_one_whose_newest_frame_stands_still(model, features):
    points = query(model, features[0], XY)
    short = model.track(features[:3], points, None)
    padded = model.track(features[:3] + [features[2]] * 5, points, None)
    assert short.xy.shape == (3, 5, 2)
    np.testing.assert_allclose(short.xy, padded.xy[:3], atol=1e-4)
    np.testing.assert_allclose(short.visibility, padded.visibility[:3], atol=1e-5)


def test_each_new_frame_revises_the_window(model, features):
    points = query(model, features[0], XY)
    early = model.track(features[:4], points, None)
    late = model.track(features, points, early)
    assert np.abs(late.xy[1:4] - early.xy[1:]).max() > 1e-3
    np.testing.assert_array_equal(late.xy, model.track(features, points, None).xy)  # `known` has no say in it


def test_a_frame_is_encoded_once_however_many_windows_see_it():
    net, shapes = copy.deepcopy(network()), []
    net.fnet.register_forward_hook(lambda _, inputs, __: shapes.append(inputs[0].shape[0]))
    model = PipsModel(net)
    window = [model.encode(frame) for frame in clip(4)]
    points = query(model, window[0], XY[0])
    for end in range(1, 5):
        model.track(window[:end], points, None)
    model.describe(window[3], points.xy)
    assert shapes == [1] * 4


def test_points_run_together_say_what_each_says_alone(model, features):
    together = model.track(features, query(model, features[0], XY), None)
    for i, xy in list(enumerate(XY))[::2]:
        alone = model.track(features, query(model, features[0], xy), None)
        np.testing.assert_allclose(alone.xy[:, 0], together.xy[:, i], atol=2e-3)
        np.testing.assert_allclose(alone.visibility[:, 0], together.visibility[:, i], atol=1e-3)


def test_more_points_than_the_cache_holds_say_the_same(model, features):
    many = np.random.default_rng(0).uniform(0, 60, (18, 2))
    together = model.track(features, query(model, features[0], many), None)
    last = model.track(features, query(model, features[0], many[-1]), None)
    np.testing.assert_allclose(last.xy[:, 0], together.xy[:, -1], atol=2e-3)


def test_no_points_make_no_trajectories(model, features):
    points = query(model, features[0], [])
    assert points.descriptors.shape == (0, 128)
    said = model.track(features[:5], points, None)
    assert (said.xy.shape, said.visibility.shape) == ((5, 0, 2), (5, 0))


def test_a_window_of_the_anchor_alone_has_the_query_points_there_and_visible(model, features):
    said = model.track(features[:1], query(model, features[0], XY), None)
    np.testing.assert_array_equal(said.xy, np.array([XY], np.float32))
    np.testing.assert_array_equal(said.visibility, np.ones((1, 5)))


def test_the_anchor_keeps_its_positions_and_the_visibility_that_was_known(model, features):
    points = query(model, features[0], XY)
    known = Trajectories(points.xy[None], np.linspace(0, 1, 5, dtype=np.float32)[None])
    said = model.track(features[:4], points, known)
    np.testing.assert_array_equal(said.xy[0], points.xy)
    np.testing.assert_array_equal(said.visibility[0], known.visibility[0])
    assert said.xy.dtype == said.visibility.dtype == np.float32


def test_more_than_eight_frames_are_refused(model, features):
    with pytest.raises(AssertionError, match="at most 8 frames, got 9"):
        model.track([*features, features[0]], query(model, features[0], XY), None)


def test_the_feature_of_the_first_window_serves_all_later_ones(model, features):
    points = query(model, features[0], XY)
    visibility = np.array([0, 1, 0, 1, 0], np.float32)
    assert model.relink(points.descriptors, features[7], points.xy + 1, visibility) is points.descriptors


def test_frames_are_fitted_into_the_size_and_points_come_back_in_frame_px():
    fitted, native = PipsModel(network(), (96, 200)), PipsModel(network())
    frames = clip(3)  # 64 x 96, fitted to 96 x 144
    large = [cv2.resize(f, (144, 96), interpolation=cv2.INTER_LINEAR) for f in frames]
    window, same = [fitted.encode(f) for f in frames], [native.encode(f) for f in large]
    assert window[0].encoded_size == (96, 144)
    said = fitted.track(window, query(fitted, window[0], XY), None)
    on_large = geometry.apply(geometry.rescaling(SIZE, (96, 144)), np.array(XY, np.float32))
    expected = native.track(same, query(native, same[0], on_large), None)
    back = geometry.apply(geometry.rescaling((96, 144), SIZE), expected.xy.reshape(-1, 2)).reshape(3, -1, 2)
    np.testing.assert_allclose(said.xy, back, atol=1e-4)
    assert np.abs(said.xy[2] - said.xy[0]).max() > 0.01


@pytest.mark.parametrize(
    ("frame", "into", "size"),
    [
        ((480, 854), (576, 1024), (576, 1024)),
        ((1080, 1920), (576, 1024), (576, 1024)),
        ((1920, 1080), (576, 1024), (576, 324)),
        ((576, 1024), (256, 448), (252, 448)),
        ((100, 2000), (576, 1024), (64, 1024)),  # a side that would be too small is not
    ],
)
def test_a_frame_keeps_its_shape_inside_the_size(frame, into, size):
    assert geometry.fit(frame, into, 64) == size


def test_the_size_is_written_height_first():
    assert parse_fit_size("360x640") == (360, 640)
    assert parse_fit_size("native") is None


@pytest.mark.parametrize(("stride", "least"), [(4, 64), (8, 128)])
def test_a_frame_smaller_than_the_coarsest_map_needs_is_refused_with_both_sizes(stride, least):
    model = PipsModel(network(stride))
    with pytest.raises(ConfigError, match=rf"{least - 1}x200 px .* at stride {stride} it needs {least} or more"):
        model.encode(np.zeros((least - 1, 200, 3), np.uint8))
    assert model.encode(np.zeros((least, least + 6, 3), np.uint8)).encoded_size == (least, least + 6)


def test_a_network_that_says_nan_is_not_believed(features):
    broken = copy.deepcopy(network())
    broken.vis_predictor[0].bias[:] = float("nan")
    model = PipsModel(broken)
    with pytest.raises(ModelError, match="lost 5 of 5 points to NaN"):
        model.track(features, query(model, features[0], XY), None)


def test_a_query_point_at_nan_is_refused(model, features):
    points = query(model, features[0], XY)
    nowhere = replace(points, xy=np.where(np.arange(5)[:, None] == 2, np.float32("nan"), points.xy))
    with pytest.raises(ModelError, match="NaN or infinity"):
        model.describe(features[0], nowhere.xy)
    with pytest.raises(ModelError, match="NaN or infinity"):
        model.track(features, nowhere, None)


def test_a_point_far_outside_the_frame_is_followed_all_the_same(model, features):
    said = model.track(features, query(model, features[0], [[1e9, -1e9], [-500, 3000]]), None)
    assert np.isfinite(said.xy).all()


# --- where a point starts its next window ---------------------------------------------------------------------------


def linked_by_search(visibility):
    """The rule of the reference, point by point, as it is told in words."""
    said = []
    for column in visibility.T:
        threshold, found = np.float32(0.9), None
        while found is None:
            found = next((f for f in range(len(column) - 1, 0, -1) if column[f] > threshold), None)
            threshold = np.float32(threshold - np.float32(0.02))
        said.append(found)
    return said


@pytest.mark.parametrize(
    ("later", "at"),
    [
        ([0.95, 0.95, 0.95], 3),
        ([0.95, 0.95, 0.90], 2),  # 0.9 is not above 0.9
        ([0.95, 0.10, 0.10], 1),
        ([0.87, 0.50, 0.81], 1),  # the limit sinks to 0.86 before it reaches 0.81
        ([0.50, 0.51, 0.505], 3),  # in one step of 0.02 all of them pass: the latest
        ([0.0, 0.0, 0.0], 3),  # above a limit below zero, in the end
        ([float("nan"), 0.2, 0.3], 1),
    ],
)
def test_a_point_goes_on_from_its_last_clearly_visible_frame(model, later, at):
    visibility = np.array([[1.0], *([v] for v in later)], np.float32)
    assert model.link(visibility).tolist() == [at]


def test_every_point_is_linked_for_itself_as_by_search(model):
    visibility = np.random.default_rng(5).uniform(0, 1, (8, 300)).astype(np.float32) ** 3
    assert model.link(visibility).tolist() == linked_by_search(visibility)
    assert model.link(np.ones((8, 0), np.float32)).shape == (0,)


def test_frames_are_encoded_whole_after_tf32_was_switched_off():
    choose_precision("tracker.precision", "float32", torch.device("cuda"))
    frames = torch.from_numpy(np.stack(clip(1))).permute(0, 3, 1, 2).float() / 128 - 1
    encoder = network().fnet
    with torch.inference_mode():
        in_blocks = encoder(frames)
    with torch.enable_grad():  # then maps are whole, as on a GPU
        whole = encoder(frames)
    np.testing.assert_allclose(whole.numpy(), in_blocks.numpy(), atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("precision", "most_px"), [("float32", 0.01), ("bfloat16", 0.5)])
def test_the_gpu_says_what_the_cpu_says(model, features, precision, most_px):
    choose_precision("tracker.precision", "float32", torch.device("cuda"))
    net = copy.deepcopy(network()).cuda()
    net.compute_in(getattr(torch, precision))
    there = PipsModel(net)
    window = [there.encode(frame) for frame in clip(8)]
    said = there.track(window, query(there, window[0], XY), None)
    expected = model.track(features, query(model, features[0], XY), None)
    assert np.abs(said.xy - expected.xy).max() < most_px


def test_what_is_replayed_is_what_is_computed(model, monkeypatch):
    size, frames = (64, 96), clip(8)
    plain, replayed = PipsModel(network(), size), PipsModel(network(), size)
    replayed._encodes, replayed._follows = repeated_recordings(monkeypatch), repeated_recordings(monkeypatch)
    answers = []
    for net in (plain, replayed):
        window = [net.encode(frame) for frame in frames]
        answers += [
            net.track(window, query(net, window[0], XY), None),
            net.track(window, query(net, window[0], XY[:2]), None),
        ]
    for expected, found in zip(answers[:2], answers[2:], strict=True):
        assert np.abs(found.xy - expected.xy).max() < 0.2  # frames are resized by another library: a level apart
        assert np.abs(found.visibility - expected.visibility).max() < 0.02
    assert len(replayed._follows._recordings) == 1  # 5 points and 2 are computed as 16


def test_a_frame_is_resized_on_the_device_as_on_the_host_but_for_a_level():
    rgb = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8), (0, 0), 1.5)
    for size in ((72, 128), (120, 200), (90, 160)):
        there = _resized(torch.from_numpy(rgb), size)[0].permute(1, 2, 0).numpy()
        assert np.abs(there - _fitted(rgb, size).astype(np.float32)).max() <= 1


def test_products_with_whole_maps_are_those_with_the_neighbours_but_for_rounding():
    maps = torch.randn(1, 128, 32, 40, generator=torch.Generator().manual_seed(0))
    [exact], [rounded] = build_pyramids(maps), build_pyramids(maps.half())
    features, coords = torch.randn(1, 7, 128), 40 * torch.rand(1, 7, 2)
    found = correlate([rounded], features, coords)
    assert found.dtype == torch.float32
    assert (found - correlate([exact], features, coords)).abs().max() < 0.02


def test_compiling_is_refused_where_the_cpu_has_loops_of_its_own(tmp_path):
    with pytest.raises(ConfigError, match=r"tracker\.compile is true.*auto or false"):
        make_pips(Tracker(backend="pips", checkpoint=checkpoint_of("pips", tmp_path), device="cpu", compile=True))
