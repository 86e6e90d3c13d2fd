"""`evaluate.py points`: its measures by hand, its drawn truth, and a short run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from running import evaluated

from stream.arrays import Array
from tools import evaluate
from tools.evaluation.drawn_clips import DrawnClip, demo_clip, scene_clip
from tools.evaluation.point_measures import Trajectories
from tools.evaluation.points import CLIPS, chosen, groups

T = 5


def scores(offset_px: float = 0.0, **answers: Array) -> dict[str, float]:
    """The scores of two points, one begun on frame 0, one on frame 2, both always seen, tracked `offset_px` away."""
    true_xy = np.zeros((T, 2, 2))
    visible = np.ones((T, 2), bool)
    values = {"true_visible": visible, "visible": visible, **answers}
    return Trajectories(
        true_xy, xy=true_xy + np.array([offset_px, 0]), query_frames=np.array([0, 2]), **values
    ).scores()


def test_points_where_they_are_score_100_in_all() -> None:
    assert set(scores().values()) == {100.0}


def test_a_point_3_px_away_is_within_4_8_and_16() -> None:
    row = scores(3.0)
    assert [row[f"delta_{px}"] for px in (1, 2, 4, 8, 16)] == [0, 0, 100, 100, 100]
    assert row["delta"] == pytest.approx(60)
    assert row["OA"] == 100
    assert row["AJ"] == pytest.approx(60)  # within 1 and 2 px each point is missed and false: 0 of 12


def test_frames_up_to_the_query_do_not_count() -> None:
    seen = np.ones((T, 2), bool)
    claimed = seen.copy()
    claimed[:3, 1] = claimed[0, 0] = False  # before the second point's query frame and on it, and on the first one's
    assert scores(visible=claimed)["OA"] == 100


def test_occlusion_is_right_or_wrong_frame_by_frame() -> None:
    true_visible = np.ones((T, 2), bool)
    true_visible[3, 0] = False
    row = scores(true_visible=true_visible)
    assert row["OA"] == pytest.approx(100 * 5 / 6)  # 4 + 2 frames count, one is called visible and is not
    assert row["delta"] == 100  # positions count where the point is seen
    assert row["AJ"] == pytest.approx(100 * 5 / 6)  # 5 true positives; 5 seen and 1 false


def test_a_visible_point_called_hidden_is_missed() -> None:
    claimed = np.ones((T, 2), bool)
    claimed[4, 1] = False
    row = scores(visible=claimed)
    assert row["AJ"] == row["OA"] == pytest.approx(100 * 5 / 6)


def difference(clip: DrawnClip, frames: tuple[int, int], shift: tuple[int, int]) -> float:
    """Mean over the points seen on both frames: how far the picture at the second, `shift` away, is from the first."""
    total = []
    both = clip.visible[frames[0]] & clip.visible[frames[1]]
    for before, after in zip(clip.points_xy[frames[0], both], clip.points_xy[frames[1], both] + shift, strict=True):
        boxes = [(round(float(y)), round(float(x))) for x, y in (before, after)]
        patches = [
            clip.frames[f, y - 3 : y + 4, x - 3 : x + 4].astype(float) for f, (y, x) in zip(frames, boxes, strict=True)
        ]
        if patches[0].shape == patches[1].shape == (7, 7, 3):
            total.append(np.abs(patches[0] - patches[1]).mean())
    assert len(total) > 20
    return float(np.mean(total))


@pytest.mark.parametrize(("draw", "frames"), [(demo_clip, (0, 11)), (partial(scene_clip, 200_001), (3, 4))])
def test_the_drawn_points_lie_on_the_picture_that_they_belong_to(
    draw: Callable[[int], DrawnClip], frames: tuple[int, int]
) -> None:
    """The pictures around a point on two frames are alike, and much less so some px beside it."""
    clip = draw(frames[1] + 1)
    rng = np.random.default_rng(0)
    beside = [difference(clip, frames, (int(6 * np.cos(a)), int(6 * np.sin(a)))) for a in rng.uniform(0, 6.28, 6)]
    assert difference(clip, frames, (0, 0)) < 0.6 * min(beside)


def test_a_point_is_seen_where_its_own_object_is() -> None:
    clip = demo_clip(250, (90, 160))  # the star hides, the rock leaves: a whole period
    assert clip.visible.any(axis=0).all()
    assert (~clip.visible).any(axis=0).sum() > 10
    t, n = np.nonzero(clip.visible)
    x, y = np.rint(clip.points_xy[t, n]).astype(int).T
    assert (clip.labels[t, y, x] > 0).all()


def test_points_that_begin_together_on_one_object_are_one_object_to_the_tracker() -> None:
    clip = demo_clip(12)
    queries = clip.query_frames()
    found = groups(clip, clip.points_xy, queries)
    assert sorted(np.concatenate(found).tolist()) == list(range(clip.points_xy.shape[1]))
    assert all(len(set(queries[own].tolist())) == 1 for own in found)


def test_a_drawn_scene_asks_for_points_on_its_bodies_alone() -> None:
    clip = scene_clip(200_001, 3)
    t, n = np.nonzero(clip.visible)
    x, y = np.rint(clip.points_xy[t, n]).astype(int).T
    assert (clip.labels[t, y, x] > 0).all()
    assert np.count_nonzero(clip.query_frames() == 0) > 20


@pytest.mark.parametrize("arguments", [(), ("--offline",)])
def test_points_follows_a_drawn_clip(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    report = evaluated(tmp_path, "points", "--frames", 16, "--jobs", 1, "--sequences", "demo", *arguments)
    assert report["mean"]["delta_16"] > 80
    assert report["mean"]["OA"] > 80
    assert report["sequences"]["demo"] == report["mean"]


def test_points_scores_several_clips_and_writes_one_page_the_worst_first(tmp_path: Path) -> None:
    page = tmp_path / "points.html"
    clips = ("demo", "scene-200001")
    report = evaluated(tmp_path, "points", "--frames", 8, "--jobs", 1, "--sequences", ",".join(clips), "--html", page)
    rows = report["sequences"]
    assert tuple(rows) == clips
    assert report["mean"]["delta"] == pytest.approx((rows[clips[0]]["delta"] + rows[clips[1]]["delta"]) / 2)
    html = page.read_text()
    first, second = sorted(clips, key=lambda name: rows[name]["delta"])
    assert 0 < html.index(f'<section id="{first}">') < html.index(f'<section id="{second}">')
    assert "http" not in html
    assert html.count("data:image/jpeg;base64,") >= 4
    assert html.count("<polyline") == 4


def test_all_drawn_clips_are_scored_by_default() -> None:
    assert chosen("") == list(CLIPS)
    assert len(CLIPS) >= 5


def test_a_clip_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["points", "--sequences", "demo,nosuch"]) == 2
    assert "no drawn clip 'nosuch'; there are demo, scene-" in capsys.readouterr().err
