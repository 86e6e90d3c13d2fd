"""TapNet as a point model: windows are seen at once, what has not changed is not run again, and no pickle runs code."""

from __future__ import annotations

import functools
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tracker.small_pips import clip, query

from nodes.tracker.backends import make_model
from nodes.tracker.tapnet import backend
from nodes.tracker.tapnet.backend import TapNetModel
from nodes.tracker.tapnet.network import shift_in_time
from nodes.tracker.tracking import PointTracker
from stream.errors import CheckpointError, ConfigError, ModelError
from stream.messages import Frame, Prompt, Stamp, Tracks
from stream.settings.config import Tracker
from stream.settings.options import TrackerOptions
from stream.settings.presets import load
from tools.goldens.trackers.tapnet_weights import tapnet_network, tapnet_tree, tapnet_weights

XY = np.array([[20, 30], [50.5, 11.25], [70, 40]], np.float32)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The network sees 64x64 px: it is the same at any size, and 16 times cheaper."""
    monkeypatch.setattr(backend, "SIDE", 64)


@functools.cache
def network():
    return tapnet_network(tapnet_weights(0))


def model(horizon: int = 2) -> TapNetModel:
    return TapNetModel(network(), horizon)


def encoded(net, frames):
    return [net.encode(rgb) for rgb in clip(frames)]


def test_a_window_that_grows_says_what_the_whole_one_says_and_runs_nine_frames_for_each_new_one():
    net, other = model(), model()
    window = encoded(net, 12)
    points, answer = query(net, window[0], XY), None
    for end in (10, 11, 12):
        answer = net.track(window[:end], points, answer)
    assert net.run_frames == 10 + 9 + 9
    whole = other.track(window, points, None)
    assert other.run_frames == 12
    np.testing.assert_allclose(answer.xy, whole.xy, atol=1e-3)
    np.testing.assert_allclose(answer.visibility, whole.visibility, atol=1e-4)
    other.track(window, query(net, window[0], XY[:1]), None)
    assert other.run_frames == 12  # the same window, for other points


def test_each_new_frame_revises_the_window():
    net = model()
    window = encoded(net, 6)
    points = query(net, window[0], XY)
    early, late = net.track(window[:4], points, None), net.track(window, points, None)
    assert np.abs(late.xy[1:4] - early.xy[1:]).max() > 1e-3
    np.testing.assert_array_equal(late.xy[0], XY)


@pytest.mark.parametrize("emit", ["frame", "horizon"])
def test_whole_windows_of_the_live_tracker_are_the_offline_numbers(emit):
    net, pictures = model(horizon=8), clip(6)
    options = TrackerOptions(horizon=8, emit=emit, reinit=False, link="visible", wait_for_seed=False, revises=True)
    tracker = PointTracker(net, options)
    tracker.add(Prompt(object_id=1, xy=XY, labels=np.ones(3, np.uint8)))
    answers = []
    for i, rgb in enumerate(pictures):
        stamp = Stamp(camera="c", session=0, frame_id=i, captured_ns=i, captured_unix_ns=i)
        answers += tracker.step(Frame(stamp=stamp, rgb=rgb))
    answers += tracker.flush()
    tracks = [a for a in answers if isinstance(a, Tracks)]
    assert [a.frame.stamp.frame_id for a in tracks] == list(range(6))
    other = model()
    offline = other.follow([other.encode(rgb) for rgb in pictures], np.column_stack([np.zeros(3), XY]))
    got = np.stack([a.objects[0].xy for a in tracks])
    final = [a.objects[0].points_final for a in tracks]
    assert final == ([True] * 6 if emit == "horizon" else [True, *[False] * 5])  # the first frame is the query's own
    if emit == "horizon":
        np.testing.assert_allclose(got, offline.xy, atol=1e-4)
    else:  # what went out at once was revised later; the newest frame was not
        np.testing.assert_allclose(got[-1], offline.xy[-1], atol=1e-3)
        assert np.abs(got - offline.xy).max() > 1e-3


def test_a_point_goes_on_from_where_it_was_seen_last():
    visibility = np.array([[1, 1, 1], [1, 0, 0], [0.4, 0, 1], [0.2, 0.5, 0.6]], np.float32)
    np.testing.assert_array_equal(model(horizon=4).link(visibility), [1, 3, 3])
    np.testing.assert_array_equal(model(horizon=5).link(visibility), [3, 3, 3])  # the feed has ended


def test_some_channels_come_from_the_next_frame_and_some_from_the_last():
    x = torch.arange(3 * 16, dtype=torch.float32).view(3, 16, 1, 1)
    shifted = shift_in_time(x)[:, :, 0, 0]
    assert shifted[1, :2].tolist() == [2 * 16 + 14, 2 * 16 + 15]
    assert shifted[1, -2:].tolist() == [0, 1]
    assert shifted[1, 2:-2].tolist() == x[1, 2:-2, 0, 0].tolist()
    assert shifted[2, :2].tolist() == [0, 0]
    assert shifted[0, -2:].tolist() == [0, 0]


def test_the_grids_of_few_windows_are_held_and_none_of_frames_that_are_gone():
    net = model()
    window = encoded(net, 8)
    for start in range(6):
        net.track(window[start : start + 2], query(net, window[start], XY), None)
    assert len(net._grids) == backend.WINDOWS
    del window[:]
    fresh = encoded(net, 2)
    net.track(fresh, query(net, fresh[0], XY), None)
    assert len(net._grids) == 1


def test_no_points_are_no_trouble_and_one_that_is_nowhere_is_refused():
    net = model()
    window = encoded(net, 2)
    assert net.track(window, query(net, window[0], np.zeros((0, 2))), None).xy.shape == (2, 0, 2)
    assert net.run_frames == 0
    with pytest.raises(ModelError, match="NaN"):
        net.describe(window[0], np.array([[np.nan, 1]]))


# --- the checkpoint ---------------------------------------------------------------------------------------------------


def asking(checkpoint) -> Tracker:
    return Tracker(backend="tapnet", checkpoint=str(checkpoint), device="cpu")


class OptimiserState:
    """As the authors' file holds it: an object of a package that is not here."""

    def __reduce__(self):
        return (print, ("code of the optimiser was run",))


def with_global(module: str, name: str) -> bytes:
    """An array file whose pickle calls for something of a module, to be called with a word."""
    tree = tapnet_tree(0).item() | {"opt_state": OptimiserState()}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    content = pickle.dumps(tree, protocol=0)
    assert b"c__builtin__\nprint\n" in content
    return file.getvalue() + content.replace(b"c__builtin__\nprint\n", f"c{module}\n{name}\n".encode())


def test_the_published_form_is_read_whatever_its_optimiser_left_there(tmp_path, capfd):
    np.save(tmp_path / "a.npy", tapnet_tree(0), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(with_global("optax._src.base", "EmptyState"))
    for name in ("a.npy", "b.npy"):
        state = make_model(asking(tmp_path / name)).network.state_dict()
        assert all(torch.equal(tensor, network().state_dict()[key]) for key, tensor in state.items())
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("calls", [("os", "system"), ("builtins", "print"), ("numpy", "load"), ("torch", "load")])
def test_a_pickle_that_calls_for_code_is_refused_and_none_of_it_is_run(tmp_path, capfd, calls):
    (tmp_path / "a.npy").write_bytes(with_global(*calls))
    with pytest.raises(CheckpointError, match=rf"calls for {calls[0]}\.{calls[1]}\. Refused, none of it") as error:
        make_model(asking(tmp_path / "a.npy"))
    assert error.value.exit_code == 3
    assert capfd.readouterr().out == ""


def bad_files(folder: Path):
    """name -> a file that is no checkpoint of TapNet, what is said of it."""
    np.save(folder / "good.npy", tapnet_tree(0), allow_pickle=True)
    good = (folder / "good.npy").read_bytes()
    np.save(folder / "numbers.npy", np.zeros(3))
    tree = tapnet_tree(0).item()
    del tree["params"]["tap_net/~/occlusion_out"]
    np.save(folder / "lacking.npy", np.array(tree, dtype=object), allow_pickle=True)
    torch.save({"a": torch.zeros(3)}, folder / "torch.npy")
    (folder / "short.npy").write_bytes(good[: len(good) // 2])
    (folder / "page.npy").write_bytes(b"<!DOCTYPE html><html>")
    (folder / "empty.npy").write_bytes(b"")
    return {
        "numbers": "no checkpoint of TapNet",
        "lacking": r"2 \(occlusion_out.bias, occlusion_out.weight\) are missing",
        "torch": "no checkpoint of TapNet",
        "short": "cut short",
        "page": "web page",
        "empty": "is empty",
    }


def test_a_file_that_is_not_tapnet_is_one_message_with_the_command(tmp_path):
    for name, says in bad_files(tmp_path).items():
        with pytest.raises(CheckpointError, match=says) as error:
            make_model(asking(tmp_path / f"{name}.npy"))
        assert "fetch_weights.py tapnet" in str(error.value)
    assert os.listdir(tmp_path)


def test_another_precision_than_float32_is_refused():
    with pytest.raises(ConfigError, match="tapnet computes in float32"):
        load("sam_pt_tapnet", {"tracker.precision": "bfloat16"})
