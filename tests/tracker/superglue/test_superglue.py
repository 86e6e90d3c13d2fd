"""SuperGlue as a point model: its two files are loaded strictly, and the package's two departures are cured."""

from __future__ import annotations

import functools
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tracker.matching.two_files import of_each_file, with_wrong_content, write_files  # noqa: E402
from tracker.small_pips import textured  # noqa: E402

from nodes.tracker.backends import make_model  # noqa: E402
from nodes.tracker.matching.model import MatchingModel  # noqa: E402
from nodes.tracker.point_model import Points  # noqa: E402
from nodes.tracker.superglue.checkpoint import from_superglue, head_by_head  # noqa: E402
from nodes.tracker.superglue.network import SuperGlue, to_gray  # noqa: E402
from stream.errors import CheckpointError, ConfigError  # noqa: E402
from stream.settings.config import Tracker  # noqa: E402
from stream.settings.presets import load  # noqa: E402
from tools.goldens.trackers.superglue_weights import (  # noqa: E402
    superglue_module,
    superglue_weights,
    superpoint_weights,
)

SIZE = (96, 135)  # px; the last 7 columns are no cell of SuperPoint
FILES = ("superpoint_v1.pth", "superglue_outdoor.pth")


@functools.cache
def module():
    return superglue_module(superpoint_weights(0), superglue_weights(0))


@functools.cache
def found(frames=3):
    return [SuperGlue(module()).detect(rgb) for rgb in textured(frames, SIZE)]


def test_no_keypoint_lies_in_the_border_at_any_side():
    xy = np.concatenate([k.xy for k in found()])
    assert len(xy) > 50
    assert xy.min() >= 4
    assert xy[:, 0].max() < 128 - 4
    assert xy[:, 1].max() < 96 - 4
    shipped = module().keypoint_detector(_pictures(1)).keypoints[0] * torch.tensor([SIZE[1], SIZE[0]])
    assert (shipped[:, 0].round() >= 128 - 4).any()  # those of the package do


def test_two_lists_of_other_lengths_match_as_they_do_unpadded():
    before, after = found()[:2]
    assert len(before) != len(after)
    matched = SuperGlue(module()).match(before, after)
    assert len(matched.before) > 10
    assert np.all(np.diff(matched.before) > 0)
    assert len(set(matched.after.tolist())) == len(matched.after)
    log_transport = SuperGlue(module()).transport(before, after)
    assert log_transport.shape == (len(before) + 1, len(after) + 1)  # nothing is padded
    np.testing.assert_allclose(log_transport.exp().sum(dim=0), [*[1] * len(after), len(before)], rtol=1e-3)


def test_keypoints_of_equal_number_match_as_in_the_package():
    same = found()[0]
    ours = SuperGlue(module()).match(same, same)
    looks = same.looks
    both = [torch.stack([t, t])[None] for t in (looks.xy, looks.descriptors, looks.scores)]
    matches, scores, _, _ = module()._match_image_pair(*both, *SIZE)
    theirs = matches[0, 0].numpy()
    np.testing.assert_array_equal(ours.before, np.flatnonzero(theirs >= 0))
    np.testing.assert_array_equal(ours.after, theirs[theirs >= 0])
    np.testing.assert_allclose(ours.scores, scores[0, 0].numpy()[theirs >= 0], atol=1e-4)


def test_the_strongest_keypoints_are_left_in_their_order():
    few = SuperGlue(module(), most_keypoints=20).detect(textured(1, SIZE)[0])
    every = found()[0]
    strongest = np.sort(np.argsort(-every.looks.scores.numpy(), kind="stable")[:20])
    np.testing.assert_array_equal(few.xy, every.xy[strongest])


def test_pictures_without_keypoints_have_no_matches():
    net = SuperGlue(module())
    black = net.detect(np.zeros((64, 64, 3), np.uint8))
    for pair in ((black, found()[0]), (found()[0], black), (black, black)):
        if not (len(pair[0]) and len(pair[1])):
            assert len(net.match(*pair).before) == 0


def test_gray_is_cut_to_whole_numbers():
    rgb = torch.tensor([[[255, 255, 255], [0, 0, 1], [10, 200, 30]]], dtype=torch.uint8)
    assert to_gray(rgb).tolist() == [[254, 0, 123]]


def test_channels_that_alternate_between_heads_are_put_head_by_head():
    rows = torch.arange(8)
    assert head_by_head(rows).tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    weight = torch.arange(16.0).view(4, 4, 1)
    merged = from_superglue({"gnn.layers.0.attn.merge.weight": weight})["gnn.layers.0.attention.output.dense.weight"]
    assert merged.tolist() == weight[:, :, 0].tolist()  # of one channel a head nothing moves


def test_live_and_offline_are_the_same_numbers():
    pictures = textured(4, SIZE)
    mask = np.zeros(SIZE, np.uint8)
    mask[20:70, 30:90] = 1
    answers = []
    for step in (1, 4):  # a window that grows by a frame, and whole ones
        net = MatchingModel(SuperGlue(module()), seed=72)
        window = [net.encode(rgb) for rgb in pictures]
        xy = np.full((8, 2), 50, np.float32)
        points = Points(xy, np.ones(8, np.uint8), np.ones(8, np.int32), net.describe_region(window[0], xy, mask))
        answer = None
        for end in range(step, 5, step):
            answer = net.track(window[:end], points, answer)
        answers.append(answer)
    np.testing.assert_array_equal(answers[0].xy, answers[1].xy)
    np.testing.assert_array_equal(answers[0].visibility, answers[1].visibility)
    assert answers[0].visibility[1:].mean() > 0.5


def _pictures(count):
    """(B, 3, H, W): pictures as the package wants them."""
    grays = [to_gray(torch.from_numpy(rgb.copy())).float() / 255 for rgb in textured(count, SIZE)]
    return torch.stack(grays)[:, None].repeat(1, 3, 1, 1)


# --- the checkpoint ---------------------------------------------------------------------------------------------------


def asking(folder, **keys) -> Tracker:
    return Tracker(backend="superglue", checkpoint=str(folder), device="cpu", size="native", **keys)


def test_a_folder_with_both_files_is_loaded(tmp_path):
    write_files(tmp_path, FILES, (superpoint_weights(0), superglue_weights(0)))
    net = make_model(asking(tmp_path)).matcher.module
    for name, tensor in module().state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor)


@of_each_file
@with_wrong_content
def test_a_file_that_is_not_theirs_is_one_message_with_the_command(tmp_path, which, content, says):
    good = [superpoint_weights(0), superglue_weights(0)]
    write_files(tmp_path, FILES, [content if i == which else c for i, c in enumerate(good)])
    with pytest.raises(CheckpointError, match=says) as error:
        make_model(asking(tmp_path))
    assert f"fetch_weights.py {('superpoint', 'superglue')[which]}" in str(error.value)
    assert error.value.exit_code == 3


def test_the_files_exchanged_are_refused(tmp_path):
    write_files(tmp_path, FILES, (superglue_weights(0), superpoint_weights(0)))
    with pytest.raises(CheckpointError, match="holds other weights than superpoint"):
        make_model(asking(tmp_path))


def test_one_file_alone_or_none_is_a_message_that_names_both(tmp_path, monkeypatch):
    torch.save(superpoint_weights(0), tmp_path / FILES[0])
    with pytest.raises(CheckpointError, match=r"no superglue_outdoor\.pth in the folder"):
        make_model(asking(tmp_path))
    with pytest.raises(CheckpointError, match=r"give the folder that holds superpoint_v1\.pth and superglue_outdoor"):
        make_model(asking(tmp_path / FILES[0]))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    with pytest.raises(CheckpointError, match=r"fetch_weights\.py superpoint superglue` gets them"):
        make_model(asking(""))


def test_a_missing_package_names_the_file_of_requirements(tmp_path, monkeypatch):
    write_files(tmp_path, FILES, (superpoint_weights(0), superglue_weights(0)))
    monkeypatch.setitem(sys.modules, "transformers.models.superglue.modeling_superglue", None)
    with pytest.raises(ConfigError, match=r"tracker\.backend is superglue, .*requirements-trackers\.txt"):
        make_model(asking(tmp_path))


@pytest.mark.parametrize("key", ["tracker.precision=bfloat16", "tracker.patch_similarity=0.5"])
def test_what_a_matcher_can_not_do_is_refused(key):
    name, _, value = key.partition("=")
    with pytest.raises(ConfigError, match=name):
        load("sam_pt_superglue", {name: value})
