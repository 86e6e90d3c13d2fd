"""RAFT as a point model: each pair of frames costs one flow, points follow it, and what is not RAFT is refused."""

from __future__ import annotations

import functools
import gc
import sys

import numpy as np
import pytest
import torch
from tracker.small_pips import clip, query

from nodes.tracker.backends import make_model
from nodes.tracker.raft.backend import RaftModel, sample
from nodes.tracker.raft.network import Raft, padding
from nodes.tracker.tracking import PointTracker
from stream.errors import CheckpointError, ConfigError, ModelError
from stream.messages import Frame, Prompt, Stamp, Tracks
from stream.settings.config import Tracker
from stream.settings.options import TrackerOptions
from tools.goldens.trackers.raft_weights import raft_module, raft_weights
from tools.offline.chaining import chain

SIZE = (128, 128)
XY = np.array([[20, 30], [50.5, 111.25], [0, 0], [127, 127]], np.float32)


@functools.cache
def module():
    return raft_module(raft_weights(0))


def model(**keys) -> RaftModel:
    return RaftModel(Raft(module(), updates=2), **keys)


@functools.cache
def pictures(frames: int = 4):
    return clip(frames, SIZE)


def windows(net, pictures, ends):
    """The answer for a window that grows to each of `ends` frames."""
    features = [net.encode(rgb) for rgb in pictures]
    points, answer = query(net, features[0], XY), None
    for end in ends:
        answer = net.track(features[:end], points, answer)
    return answer


def test_a_frame_is_encoded_once_and_a_pair_costs_one_flow_however_many_windows_want_it():
    net = model()
    features = [net.encode(rgb) for rgb in pictures(4)]
    points = query(net, features[0], XY)
    for end in range(1, 5):
        net.track(features[:end], points, None)
    net.track(features[1:], query(net, features[1], XY[:1]), None)
    assert (net.network.encoded_frames, net.network.flows) == (4, 3)


def test_a_window_that_grows_says_what_the_whole_one_says():
    whole, grown = windows(model(), pictures(), [4]), windows(model(), pictures(), range(1, 5))
    np.testing.assert_array_equal(grown.xy, whole.xy)
    np.testing.assert_array_equal(grown.visibility, whole.visibility)
    assert np.abs(whole.xy[1:] - whole.xy[:-1]).max() > 0.01  # something moved


@pytest.mark.parametrize("emit", ["frame", "horizon"])
def test_the_live_tracker_says_exactly_what_the_offline_one_says(emit):
    options = TrackerOptions(horizon=3, emit=emit, reinit=False, link="visible")
    net = model()
    tracker = PointTracker(net, options)
    inside = XY[:2]
    tracker.add(Prompt(object_id=1, xy=inside, labels=np.ones(2, np.uint8)))
    answers = []
    for i, rgb in enumerate(pictures()):
        stamp = Stamp(camera="c", session=0, frame_id=i, captured_ns=i, captured_unix_ns=i)
        answers += tracker.step(Frame(stamp=stamp, rgb=rgb))
    answers += tracker.flush()
    assert [a.frame.stamp.frame_id for a in answers if isinstance(a, Tracks)] == list(range(4))
    assert (net.network.encoded_frames, net.network.flows) == (4, 3)
    other = model()
    offline = chain(other, [other.encode(rgb) for rgb in pictures()], np.zeros(2), inside, horizon=3)
    np.testing.assert_array_equal(np.stack([a.objects[0].xy for a in answers]), offline.xy)
    np.testing.assert_array_equal(np.stack([a.objects[0].visibility for a in answers]), offline.probability)


def test_a_flow_is_forgotten_with_the_frame_that_it_came_from():
    net = model()
    before, after = (net.encode(rgb) for rgb in pictures(2))
    net.flow(before, after)
    assert len(after.flows) == 1
    del before
    gc.collect()
    assert len(after.flows) == 0


def test_a_point_that_leaves_the_frame_is_hidden_and_moves_with_the_border():
    flow = np.zeros((4, 6, 2), np.float32)
    flow[:, -1] = 3, 1
    flow[2, 0] = 0, 8
    np.testing.assert_allclose(
        sample(flow, np.array([[9, 1], [-5, 2], [4.5, 0]], np.float32)), [[3, 1], [0, 8], [1.5, 0.5]]
    )
    net = model()
    net.flow = lambda before, after: np.full((*SIZE, 2), 2, np.float32)
    features = [net.encode(rgb) for rgb in pictures(2)]
    tracked = net.track(features, query(net, features[0], XY), None)
    np.testing.assert_array_equal(tracked.visibility, [[1, 1, 1, 1], [1, 1, 1, 0]])
    np.testing.assert_allclose(tracked.xy[1], XY + 2, atol=1e-5)


def test_the_check_of_the_way_back_hides_what_does_not_return():
    net = model(flow_check_px=1.0)
    there, back = np.full((*SIZE, 2), 2, np.float32), np.full((*SIZE, 2), -2, np.float32)
    back[60:, :] = 0
    features = [net.encode(rgb) for rgb in pictures(2)]
    net.flow = lambda before, after: there if after is features[1] else back
    tracked = net.track(features, query(net, features[0], XY[:2]), None)
    np.testing.assert_array_equal(tracked.visibility[1], [1, 0])


def test_frames_of_any_size_are_fitted_and_points_stay_in_their_px():
    net = model(size=(128, 128))
    net.flow = lambda before, after: np.full((*before.encoded_size, 2), 1, np.float32)
    features = [net.encode(np.zeros((256, 512, 3), np.uint8)) for _ in range(2)]
    assert features[0].encoded_size == (128, 128)
    tracked = net.track(features, query(net, features[0], [[100, 50]]), None)
    np.testing.assert_allclose(tracked.xy[1], [[104, 52]], atol=1e-4)


def test_padding_lies_all_round_and_its_odd_px_right_and_below():
    assert padding((131, 197)) == (1, 2, 2, 3)
    assert padding((128, 128)) == (0, 0, 0, 0)


def test_a_frame_that_is_too_small_and_a_point_that_is_nowhere_are_refused():
    with pytest.raises(ConfigError, match=r"100x200 px .* needs 128 or more"):
        model().encode(np.zeros((100, 200, 3), np.uint8))
    with pytest.raises(ModelError, match="NaN"):
        model().describe(model().encode(pictures(1)[0]), np.array([[np.nan, 1]]))


def test_no_points_are_no_trouble_and_cost_no_flow():
    net = model()
    features = [net.encode(rgb) for rgb in pictures(2)]
    assert net.track(features, query(net, features[0], np.zeros((0, 2))), None).xy.shape == (2, 0, 2)
    assert net.network.flows == 0


# --- the checkpoint ---------------------------------------------------------------------------------------------------


def asking(checkpoint, **keys) -> Tracker:
    return Tracker(backend="raft", checkpoint=str(checkpoint), device="cpu", size="native", flow_updates=2, **keys)


@pytest.mark.parametrize("names", ["authors", "torchvision"])
def test_files_of_both_publishers_give_the_same_network(tmp_path, names):
    torch.save(raft_weights(0) if names == "authors" else module().state_dict(), tmp_path / "weights.pth")
    ours = windows(make_model(asking(tmp_path / "weights.pth")), pictures(2), [2])
    np.testing.assert_array_equal(ours.xy, windows(model(), pictures(2), [2]).xy)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"PK\x03\x04 cut short", "cut short, damaged, or no checkpoint"),
        ({"module.fnet.conv1.weight": torch.zeros(3)}, "holds other weights than raft"),
        ({"model": print}, "calls for print. Refused, none of it was run"),
    ],
    ids=["page", "truncated", "another", "code"],
)
def test_a_file_that_is_not_raft_is_one_message_with_the_command(tmp_path, content, says):
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(CheckpointError, match=says) as error:
        make_model(asking(file))
    assert "fetch_weights.py raft" in str(error.value)
    assert error.value.exit_code == 3


def test_a_missing_package_names_the_file_of_requirements(tmp_path, monkeypatch):
    torch.save(raft_weights(0), tmp_path / "weights.pth")
    monkeypatch.setitem(sys.modules, "torchvision.models.optical_flow", None)
    with pytest.raises(ConfigError, match=r"tracker\.backend is raft, which needs .*requirements\.txt"):
        make_model(asking(tmp_path / "weights.pth"))
