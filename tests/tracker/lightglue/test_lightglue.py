"""LightGlue as a point model: its two files are loaded strictly, and the keypoints of a texture match."""

from __future__ import annotations

import functools
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kornia")

from tracker.matching.two_files import of_each_file, with_wrong_content, write_files  # noqa: E402
from tracker.small_pips import textured  # noqa: E402

from nodes.tracker.backends import make_model  # noqa: E402
from nodes.tracker.lightglue.network import DiskLooks, LightGlue  # noqa: E402
from nodes.tracker.matching.matcher import Keypoints  # noqa: E402
from nodes.tracker.matching.model import MatchingModel  # noqa: E402
from nodes.tracker.point_model import Points  # noqa: E402
from stream.errors import CheckpointError, ConfigError  # noqa: E402
from stream.settings.config import Tracker  # noqa: E402
from tools.goldens.trackers.lightglue_weights import (  # noqa: E402
    disk_weights,
    lightglue_networks,
    lightglue_weights,
)

SIZE = (96, 135)  # px; no multiple of 16
FILES = ("depth-save.pth", "disk_lightglue.pth")


@functools.cache
def networks():
    return lightglue_networks(0)


def matcher(most_keypoints=0) -> LightGlue:
    return LightGlue(*networks(), most_keypoints)


def test_a_texture_that_moves_is_matched_where_it_went():
    net = matcher()
    before, after = (net.detect(rgb) for rgb in textured(2, SIZE))
    matched = net.match(before, after)
    moved = after.xy[matched.after] - before.xy[matched.before]
    assert len(moved) > 20
    np.testing.assert_array_equal(np.median(moved, axis=0), [3, 1])
    assert np.all(np.diff(matched.before) > 0)


def test_the_strongest_keypoints_are_left():
    picture = textured(1, SIZE)[0]
    few, every = matcher(30).detect(picture), matcher().detect(picture)
    assert len(few) == 30 < len(every)
    assert {*map(tuple, few.xy)} <= {*map(tuple, every.xy)}


def test_pictures_without_keypoints_have_no_matches():
    net = matcher()
    nothing = Keypoints(np.zeros((0, 2), np.float32), DiskLooks(torch.zeros(0, 2), torch.zeros(0, 128)), SIZE)
    for pair in ((nothing, net.detect(textured(1, SIZE)[0])), (nothing, nothing)):
        assert len(net.match(*pair).before) == len(net.match(*pair[::-1]).after) == 0


def test_live_and_offline_are_the_same_numbers():
    pictures = textured(4, SIZE)
    mask = np.zeros(SIZE, np.uint8)
    mask[20:70, 30:90] = 1
    answers = []
    for step in (1, 4):  # a window that grows by a frame, and whole ones
        net = MatchingModel(matcher(), seed=72)
        window = [net.encode(rgb) for rgb in pictures]
        xy = np.full((8, 2), 50, np.float32)
        points = Points(xy, np.ones(8, np.uint8), np.ones(8, np.int32), net.describe_region(window[0], xy, mask))
        answer = None
        for end in range(step, 5, step):
            answer = net.track(window[:end], points, answer)
        answers.append(answer)
    np.testing.assert_array_equal(answers[0].xy, answers[1].xy)
    np.testing.assert_array_equal(answers[0].visibility, answers[1].visibility)
    assert answers[0].visibility[1:].mean() > 0.9


# --- the checkpoint ---------------------------------------------------------------------------------------------------


def asking(folder) -> Tracker:
    return Tracker(backend="lightglue", checkpoint=str(folder), device="cpu", size="native")


def as_published():
    """What the files hold: DISK's under `extractor`, LightGlue's by its older names."""
    glue = {}
    for n, t in lightglue_weights(0).items():
        parts = n.split(".")
        glue[".".join([parts[2], parts[1], *parts[3:]]) if parts[0] == "transformers" else n] = t
    assert "self_attn.0.Wqkv.weight" in glue
    return {"extractor": disk_weights(0)}, glue


def test_the_published_files_are_loaded_by_either_names(tmp_path):
    own_state = [network.state_dict() for network in networks()]
    for contents in (as_published(), (disk_weights(0), lightglue_weights(0))):
        write_files(tmp_path, FILES, contents)
        net = make_model(asking(tmp_path)).matcher
        for own, loaded in zip(own_state, (net.disk.state_dict(), net.lightglue.state_dict()), strict=True):
            assert own.keys() == loaded.keys()
            assert all(torch.equal(own[name], loaded[name]) for name in own)


@of_each_file
@with_wrong_content
def test_a_file_that_is_not_theirs_is_one_message_with_the_command(tmp_path, which, content, says):
    write_files(tmp_path, FILES, [content if i == which else c for i, c in enumerate(as_published())])
    with pytest.raises(CheckpointError, match=says) as error:
        make_model(asking(tmp_path))
    assert f"fetch_weights.py {('disk', 'lightglue_disk')[which]}" in str(error.value)
    assert error.value.exit_code == 3


def test_a_missing_package_names_the_file_of_requirements(tmp_path, monkeypatch):
    write_files(tmp_path, FILES, as_published())
    monkeypatch.setitem(sys.modules, "kornia.feature", None)
    with pytest.raises(ConfigError, match=r"tracker\.backend is lightglue, .*requirements-trackers\.txt"):
        make_model(asking(tmp_path))
