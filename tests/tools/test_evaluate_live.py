"""`evaluate.py live`: what was at hand when, and a run of the whole graph; an evaluation gives that graph's masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import PERIOD_NS, SET_FRAMES, SET_SIZE, davis_set, masks, object_mask, write_labels
from running import Run, evaluated

from stream.messages import Masks
from tools.evaluation.layout import find_sequences
from tools.evaluation.live import Recording, Task, first_prompts

MS = 1_000_000
START_NS = 500 * MS  # when frame 0 is captured
PERIOD_MS = PERIOD_NS // MS


def message(frame_id: int, captured_late_ms: int = 0) -> Masks:
    """Masks of a frame whose one object is as many px wide as the frame's number."""
    captured_ns = START_NS + (frame_id * PERIOD_MS + captured_late_ms) * MS
    return masks(frame_id, object_mask(1, (0, 0, frame_id, 1)), size=SET_SIZE, captured_ns=captured_ns)


def newest_at(root: Path, arrivals_ms: dict[int, int], due_ms: float, late_ms: int = 0) -> list[int]:
    """For each frame, the number of the frame whose mask is on screen, 0 for none; masks come so long after START."""
    davis_set(root, "one")
    recording = Recording(Task(find_sequences(root)[0], (), "mask", 1000 / PERIOD_MS))
    for frame_id, at_ms in arrivals_ms.items():
        recording.masks.append(message(frame_id, late_ms if frame_id > 1 else 0))
        recording.arrivals_ns.append(START_NS + at_ms * MS)
    on_screen = recording.on_screen(due_ms)
    return [int(np.count_nonzero(on_screen(i))) for i in range(SET_FRAMES)]


def test_a_mask_within_a_frames_time_counts_for_its_own_frame(tmp_path: Path) -> None:
    arrivals = {i: i * PERIOD_MS + 30 for i in range(1, SET_FRAMES)}
    assert newest_at(tmp_path, arrivals, due_ms=40) == list(range(SET_FRAMES))


def test_a_late_mask_counts_for_the_frames_that_are_on_screen_then(tmp_path: Path) -> None:
    arrivals = {i: i * PERIOD_MS + 50 for i in range(1, SET_FRAMES)}
    assert newest_at(tmp_path, arrivals, due_ms=40) == [0, *range(SET_FRAMES - 1)]


def test_at_once_even_a_fast_mask_is_that_of_the_frame_before(tmp_path: Path) -> None:
    arrivals = {i: i * PERIOD_MS + 5 for i in range(1, SET_FRAMES)}
    assert newest_at(tmp_path, arrivals, due_ms=0) == [0, *range(SET_FRAMES - 1)]


def test_frames_passed_over_show_the_mask_before_them(tmp_path: Path) -> None:
    arrivals = {i: i * PERIOD_MS + 30 for i in (1, 4, 8)}
    assert newest_at(tmp_path, arrivals, due_ms=40) == [0, 1, 1, 1, 4, 4, 4, 4, 8, 8, 8, 8]


def test_frames_that_are_captured_late_are_due_as_if_they_had_not_been(tmp_path: Path) -> None:
    arrivals = {i: i * PERIOD_MS + 30 for i in range(1, SET_FRAMES)}
    assert newest_at(tmp_path, arrivals, due_ms=40, late_ms=20) == list(range(SET_FRAMES))


def test_a_mask_that_comes_after_one_of_a_newer_frame_is_not_shown(tmp_path: Path) -> None:
    arrivals = {1: 50, 5: 230, 4: 260, 7: 290}  # ms, in the order of their arrival
    assert newest_at(tmp_path, arrivals, due_ms=40) == [0, *[1] * 4, *[5] * 2, *[7] * 5]


def test_clicks_and_boxes_are_given_on_the_command_line(tmp_path: Path) -> None:
    davis_set(tmp_path, "one")
    [sequence] = find_sequences(tmp_path)
    box = first_prompts(Task(sequence, (), "box", 25.0), tmp_path)
    assert box[::2] == ["--box", "--box"]
    assert [value.partition(":")[0] for value in box[1::2]] == ["1", "3"]
    points = first_prompts(Task(sequence, (), "points", 25.0), tmp_path)
    assert len(points) == 2 * 2 * 9
    assert sum(value.endswith(",0") for value in points[1::2]) == 2


def test_live_plays_a_sequence_into_the_whole_graph_and_scores_what_came(tmp_path: Path) -> None:
    davis_set(tmp_path / "set", "one")
    arguments = ["live", "--root", tmp_path / "set", "--due", "1e9", "--html", tmp_path / "r.html", "--loss"]
    report = evaluated(tmp_path, *arguments)
    assert report["frames"]["shown"] == SET_FRAMES
    assert 1 <= report["frames"]["received"] <= SET_FRAMES
    assert report["due_ms"] == 1e9
    # everything has come by then, so that every frame shows the very last mask
    assert 0 < report["mean"]["J"] < 100
    assert report["mean"]["J&F_at_once"] is not None
    assert report["mean"]["answered"] == pytest.approx(100 * report["frames"]["received"] / SET_FRAMES)
    lossless = evaluated(tmp_path, "vos", "--root", tmp_path / "set", "--jobs", 1)["mean"]["J&F"]
    assert report["mean"]["J&F_loss"] == pytest.approx(lossless - report["mean"]["J&F"])
    assert report["sequences"]["one"] == pytest.approx(report["mean"])
    assert (tmp_path / "r.html").stat().st_size > 1000


def test_an_evaluation_gives_the_very_masks_of_a_lossless_graph(tmp_path: Path) -> None:
    labels = davis_set(tmp_path / "set", "one")
    write_labels(tmp_path / "first.png", labels[0])
    (tmp_path / "graph").mkdir()
    frames = tmp_path / "set" / "JPEGImages" / "480p" / "one"
    run = Run("--source", frames, "--mask", tmp_path / "first.png", "--save-masks", tmp_path / "graph")
    assert run.wait() == 0, run.output
    run.close()
    evaluated(tmp_path, "vos", "--root", tmp_path / "set", "--save", tmp_path / "evaluated", "--jobs", 1)
    for i in range(1, SET_FRAMES):  # frame 0 holds the mask that was given
        name = f"{i:05d}.png"
        assert (tmp_path / "graph" / name).read_bytes() == (tmp_path / "evaluated" / "one" / name).read_bytes(), name


@pytest.mark.parametrize("fps", ["0", "-3", "many"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, fps: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        evaluated(tmp_path, "live", "--root", tmp_path, "--fps", fps)
    assert end.value.code == 2
    assert "number above 0" in capsys.readouterr().err
