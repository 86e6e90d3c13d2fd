"""`evaluate.py vos`, `score` and `first` on data sets of a dozen drawn frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import SET_FRAMES, SET_SIZE, davis_set, draw_sequence, write_labels, write_results
from running import evaluated

from nodes.capture.label_images import read_labels
from tools import evaluate
from tools.evaluation.layout import find_sequences, find_truth
from tools.evaluation.scoring import COLUMNS


def test_vos_follows_every_object_and_what_it_saves_scores_the_same(tmp_path: Path) -> None:
    davis_set(tmp_path / "set", "one", "two")
    report = evaluated(tmp_path, "vos", "--root", tmp_path / "set", "--save", tmp_path / "masks", "--jobs", 2)
    scored_frames = 4 * (SET_FRAMES - 2)  # of two objects in each; but for the first and the last
    assert list(report["sequences"]) == ["one", "two"]
    assert tuple(report["mean"]) == COLUMNS
    assert report["ms_per_frame"] > 0
    assert 60 < report["mean"]["J"] < 100  # of two discs that hardly turn
    assert report["mean"]["J&F"] == pytest.approx((report["mean"]["J"] + report["mean"]["F"]) / 2)
    assert sum(report["states"][s]["frames"] for s in ("tracked", "uncertain", "reacquired", "lost")) == scored_frames

    saved = sorted(p.name for p in (tmp_path / "masks" / "one").iterdir())
    assert saved == [f"{i:05d}.png" for i in range(SET_FRAMES)]
    again = evaluated(tmp_path, "score", "--results", tmp_path / "masks", "--truth", tmp_path / "set", "--jobs", 1)
    assert again["sequences"] == report["sequences"]
    assert again["ms_per_frame"] is None


def test_the_mean_is_over_objects_and_a_sequence_is_the_mean_of_its_own(tmp_path: Path) -> None:
    labels = davis_set(tmp_path / "set", "both", ids=(1, 3))
    davis_set(tmp_path / "set", "single", ids=(1,))
    write_results(tmp_path / "masks", "both", [np.where(image == 1, 1, 0).astype(np.uint8) for image in labels])
    write_results(tmp_path / "masks", "single", [np.where(image == 1, 1, 0).astype(np.uint8) for image in labels])
    report = evaluated(tmp_path, "score", "--results", tmp_path / "masks", "--truth", tmp_path / "set", "--jobs", 1)
    assert report["sequences"]["both"]["J"] == 50  # object 1 fully, object 3 not at all
    assert report["sequences"]["single"]["J"] == 100
    assert report["mean"]["J"] == pytest.approx(200 / 3)


def test_the_first_and_the_last_frame_do_not_count(tmp_path: Path) -> None:
    labels = davis_set(tmp_path / "set", "one")
    nothing = np.zeros(SET_SIZE, np.uint8)
    write_results(tmp_path / "masks", "one", [nothing, *labels[1:-1], nothing])
    report = evaluated(tmp_path, "score", "--results", tmp_path / "masks", "--truth", tmp_path / "set", "--jobs", 1)
    assert report["mean"]["J"] == report["mean"]["F"] == 100


def test_hidden_entries_of_a_data_set_are_nothing(tmp_path: Path) -> None:
    labels = davis_set(tmp_path / "set", "one")
    write_results(tmp_path / "masks", "one", labels)
    for folder in [p for p in (tmp_path / "set").rglob("*") if p.is_dir()]:
        (folder / ".ipynb_checkpoints").mkdir()  # of Jupyter
        (folder / "._00000.png").write_bytes(b"what macOS leaves")
        (folder / "._00000.jpg").write_bytes(b"what macOS leaves")
    for root in (tmp_path / "set", next((tmp_path / "set").rglob("Annotations/480p"))):
        (sequence,) = find_truth(root)
        assert sequence.stems == tuple(f"{i:05d}" for i in range(SET_FRAMES))
    (sequence,) = find_sequences(tmp_path / "set")
    assert len(sequence.frames) == SET_FRAMES


def test_a_picture_of_0_and_255_is_one_object_and_255_beside_others_is_void(tmp_path: Path) -> None:
    labels = davis_set(tmp_path / "plain", "one", ids=(1,))
    truth = tmp_path / "Annotations"
    for i, image in enumerate(labels):
        write_labels(truth / "davis2016" / f"{i:05d}.png", np.where(image, 255, 0).astype(np.uint8))
        with_void = image.copy()
        with_void[:, :40] = 255
        write_labels(truth / "void" / f"{i:05d}.png", with_void)
    spoilt = [image.copy() for image in labels]
    for image in spoilt:
        image[:, :40] = 1
    write_results(tmp_path / "masks", "davis2016", labels)
    write_results(tmp_path / "masks", "void", spoilt)
    report = evaluated(tmp_path, "score", "--results", tmp_path / "masks", "--truth", truth, "--jobs", 1)
    assert report["mean"]["J"] == report["mean"]["F"] == 100


def test_objects_may_be_merged_into_one(tmp_path: Path) -> None:
    labels = davis_set(tmp_path / "set", "one")
    write_results(tmp_path / "masks", "one", [(image != 0).astype(np.uint8) for image in labels])
    arguments = ("score", "--results", tmp_path / "masks", "--truth", tmp_path / "set", "--jobs", 1)
    assert evaluated(tmp_path, *arguments, "--merge")["mean"]["J"] == 100
    assert evaluated(tmp_path, *arguments)["mean"]["J"] < 60


def test_missing_frames_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = davis_set(tmp_path / "set", "one")
    write_results(tmp_path / "masks", "one", labels)
    (tmp_path / "masks" / "one" / "00003.png").unlink()
    (tmp_path / "masks" / "one" / "00007.png").unlink()
    wrong = ["score", "--results", str(tmp_path / "masks"), "--truth", str(tmp_path / "set"), "--jobs", "1"]
    assert evaluate.main(wrong) == 2
    errors = capsys.readouterr().err
    assert "2 of 12 frames are missing: 00003.png, 00007.png" in errors
    assert "Traceback" not in errors


def test_masks_that_do_not_fit_the_truth_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = davis_set(tmp_path / "set", "one")
    arguments = ["score", "--results", str(tmp_path / "masks"), "--truth", str(tmp_path / "set"), "--jobs", "1"]
    write_results(tmp_path / "masks", "one", [np.where(image, 5, 0).astype(np.uint8) for image in labels])
    assert evaluate.main(arguments) == 2
    assert "holds object 5; the truth has only 1, 3" in capsys.readouterr().err
    write_results(tmp_path / "masks", "one", [image[:50, :60] for image in labels])
    assert evaluate.main(arguments) == 2
    assert "is 60x50, its truth 192x108" in capsys.readouterr().err


def test_a_sequence_that_is_not_there_is_an_error_with_the_nearest_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    davis_set(tmp_path / "set", "goat")
    assert evaluate.main(["vos", "--root", str(tmp_path / "set"), "--sequences", "gaot"]) == 2
    assert "did you mean 'goat'" in capsys.readouterr().err
    assert evaluate.main(["vos", "--root", str(tmp_path)]) == 2
    assert "no folder JPEGImages" in capsys.readouterr().err


def test_objects_that_appear_later_begin_on_the_annotation_that_first_holds_them(tmp_path: Path) -> None:
    """YouTube-VOS: annotations hold new objects only, and meta.json names the frames that are wanted."""
    frames, valid = tmp_path / "valid_all_frames" / "JPEGImages", tmp_path / "valid"
    labels = draw_sequence(frames, valid / "Annotations", "clip", annotated=())
    write_labels(valid / "Annotations" / "clip" / "00000.png", np.where(labels[0] == 1, 1, 0).astype(np.uint8))
    write_labels(valid / "Annotations" / "clip" / "00004.png", np.where(labels[4] == 3, 3, 0).astype(np.uint8))
    wanted = {"1": {"frames": ["00000", "00005"]}, "3": {"frames": ["00005", "00010"]}}
    (valid / "meta.json").write_text(json.dumps({"videos": {"clip": {"objects": wanted}}}))
    report = evaluated(tmp_path, "vos", "--root", tmp_path, "--save", tmp_path / "masks", "--jobs", 1)
    assert report["mean"]["J"] is None  # there is no truth here: a server has it

    saved = {p.name: read_labels(p) for p in (tmp_path / "masks" / "Annotations" / "clip").iterdir()}
    assert sorted(saved) == ["00000.png", "00005.png", "00010.png"]
    np.testing.assert_array_equal(saved["00000.png"], np.where(labels[0] == 1, 1, 0))  # the mask that was given
    for name, index in (("00005.png", 5), ("00010.png", 10)):
        for object_id in (1, 3):
            true, found = labels[index] == object_id, saved[name] == object_id
            assert (true & found).sum() / (true | found).sum() > 0.5, (name, object_id)


def test_a_late_object_with_truth_counts_from_the_frame_after_it_began(tmp_path: Path) -> None:
    """MOSE: every frame annotated, ids that are not 1, 2, 3, objects that come later."""
    labels = draw_sequence(tmp_path / "JPEGImages", tmp_path / "Annotations", "clip", annotated=())
    late = [np.where(image == 1, 7, np.where((image == 3) & (i >= 5), 40, 0)) for i, image in enumerate(labels)]
    write_results(tmp_path / "Annotations", "clip", [image.astype(np.uint8) for image in late])
    report = evaluated(tmp_path, "vos", "--root", tmp_path, "--save", tmp_path / "masks", "--jobs", 1)
    assert report["mean"]["J"] > 60
    assert set(np.unique(read_labels(tmp_path / "masks" / "clip" / "00002.png"))) == {0, 7}
    assert set(np.unique(read_labels(tmp_path / "masks" / "clip" / "00005.png"))) == {0, 7, 40}


@pytest.mark.parametrize("prompt", ["box", "points"])
def test_vos_takes_boxes_and_clicks_of_the_true_mask(tmp_path: Path, prompt: str) -> None:
    davis_set(tmp_path / "set", "one")
    report = evaluated(tmp_path, "vos", "--root", tmp_path / "set", "--prompt", prompt, "--jobs", 1)
    assert report["mean"]["J"] > 40


def test_first_tells_the_iou_of_each_way_to_prompt(tmp_path: Path) -> None:
    davis_set(tmp_path / "set", "one", ids=(1,))
    report = evaluated(tmp_path, "first", "--root", tmp_path / "set", "--jobs", 1)
    assert list(report["mean"]) == ["points", "points+frame", "box", "box+frame"]
    assert all(30 < value <= 100 for value in report["sequences"]["one"].values())


def test_first_tells_what_choosing_among_the_masks_of_a_click_brings(tmp_path: Path) -> None:
    davis_set(tmp_path / "set", "one", ids=(1,))
    report = evaluated(tmp_path, "first", "--root", tmp_path / "set", "--jobs", 1, "--clicks", 1, "--candidates")
    row = report["sequences"]["one"]
    assert list(row) == ["default", "best", "offered"]
    assert 0 < row["default"] <= row["best"] <= 100
    assert row["offered"] > 1


def test_the_report_is_one_page_that_asks_nothing_of_the_network(tmp_path: Path) -> None:
    davis_set(tmp_path / "set", "<one>")
    page = tmp_path / "report.html"
    evaluated(tmp_path, "vos", "--root", tmp_path / "set", "--html", page, "--jobs", 1)
    html = page.read_text()
    assert "http" not in html
    assert "<script" not in html
    assert "<one>" not in html
    assert html.count("&lt;one&gt;") >= 2
    assert 4 <= html.count("data:image/jpeg;base64,") <= 8
    assert html.count("<polyline") == 2
