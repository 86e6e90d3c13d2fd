"""`evaluate.py vis`: AP and AR of mask tracks, in cases that can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import evaluated

from stream.public_wire.coco_rle import encode
from tools import evaluate

H, W = 40, 60


def box(x: int, y: int, width: int = 10, height: int = 10) -> dict[str, Any]:
    """The RLE of a filled box."""
    counts = encode(np.ones((height, width), np.uint8), (x, y, width, height), (H, W))
    return {"size": [H, W], "counts": counts.decode()}


def track(*masks: dict[str, Any] | None, **values: Any) -> dict[str, Any]:
    return {"video_id": 1, "category_id": 1, "segmentations": list(masks), **values}


def scored(folder: Path, truth: list[dict[str, Any]], found: list[dict[str, Any]], *arguments: str) -> dict[str, Any]:
    videos = [{"id": i, "width": W, "height": H, "length": 2} for i in (1, 2)]
    (folder / "truth.json").write_text(json.dumps({"videos": videos, "annotations": truth}))
    (folder / "found.json").write_text(json.dumps(found))
    files = ("--results", folder / "found.json", "--truth", folder / "truth.json")
    mean: dict[str, Any] = evaluated(folder, "vis", *files, "--jobs", 1, *arguments)["mean"]
    return mean


def test_tracks_like_the_truth_score_100(tmp_path: Path) -> None:
    tracks = [track(box(0, 0), box(2, 0)), track(None, box(20, 20)), track(box(5, 5), None, video_id=2)]
    row = scored(tmp_path, tracks, [{**t, "score": 0.5} for t in tracks])
    assert row["AP"] == row["AP50"] == row["AP75"] == row["AR100"] == row["APs"] == 100
    assert row["AR1"] == pytest.approx(100 * 2 / 3)  # one of the two tracks of video 1
    assert row["APm"] is row["ARl"] is None  # there is no truth of that size


def test_overlap_is_over_the_whole_track_and_not_the_mean_of_its_frames(tmp_path: Path) -> None:
    truth = [track(box(0, 0, 10, 10), box(0, 0, 30, 30))]
    found = [track(None, box(0, 0, 30, 30), score=1.0)]
    row = scored(tmp_path, truth, found)  # 900 of 1000 px; the mean of the frames would be 0.5
    assert row["AR100"] == pytest.approx(100 * 9 / 10)  # found at 0.50 to 0.90
    assert row["AP75"] == 100


def test_a_track_is_found_once_and_a_second_one_on_it_is_wrong(tmp_path: Path) -> None:
    truth = [track(box(0, 0), box(0, 0)), track(box(30, 20), box(30, 20))]
    found = [
        track(box(0, 0), box(0, 0), score=0.9),
        track(box(0, 0), box(0, 0), score=0.8),
        track(box(30, 20), box(30, 20), score=0.7),
    ]
    row = scored(tmp_path, truth, found)
    assert row["AR100"] == 100
    # precision 1 up to half of the truth (51 of 101 places), 2/3 beyond
    assert row["AP"] == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)
    assert row["AR1"] == 50


def test_a_crowd_may_be_found_often_or_not_at_all(tmp_path: Path) -> None:
    truth = [track(box(0, 0), box(0, 0)), track(box(20, 0, 40, 40), box(20, 0, 40, 40), iscrowd=1)]
    inside = [track(box(x, 0), box(x, 0), score=0.95) for x in (25, 40)]  # overlap is measured by the result's own area
    assert scored(tmp_path, truth, [track(box(0, 0), box(0, 0), score=0.9), *inside])["AP"] == 100
    assert scored(tmp_path, truth, [track(box(0, 0), box(0, 0), score=0.9)])["AP"] == 100


def test_categories_count_only_by_option(tmp_path: Path) -> None:
    truth = [track(box(0, 0), box(0, 0), category_id=1), track(box(30, 20), box(30, 20), category_id=2)]
    found = [{**t, "category_id": 1, "score": 0.5} for t in truth]
    assert scored(tmp_path, truth, found)["AP"] == 100
    assert scored(tmp_path, truth, found, "--by-category")["AR100"] == 50


def test_runs_may_come_as_a_list(tmp_path: Path) -> None:
    plain = {"size": [H, W], "counts": [0, 10 * H, 50 * H]}
    row = scored(tmp_path, [track(plain, plain)], [track(box(0, 0, 10, H), box(0, 0, 10, H), score=1.0)])
    assert row["AP"] == 100


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([track(box(0, 0), score=1.0)], "tracks of [1, 2] frames"),
        ([track(box(0, 0), box(0, 0), video_id=9, score=1.0)], "video 9 is not in the truth"),
        ([track({"size": [H, W], "counts": [1, 2]}, None, score=1.0)], "don't fill a frame"),
        ([track({"size": [H, W], "counts": [[1, 2]]}, None, score=1.0)], "needs [{"),
        ({"annotations": []}, "needs [{"),
    ],
)
def test_what_is_no_result_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], found: Any, message: str
) -> None:
    truth = {"videos": [{"id": 1}], "annotations": [track(box(0, 0), box(0, 0))]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(found))
    files = ["--results", str(tmp_path / "found.json"), "--truth", str(tmp_path / "truth.json")]
    assert evaluate.main(["vis", *files, "--jobs", "1"]) == 2
    assert message in capsys.readouterr().err
