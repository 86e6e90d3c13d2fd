"""`benchmark.py lite`: its clip keeps every object in view, all are followed, and who is not is not counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import object_mask

from stream.messages import Masks, Stamp
from tools import benchmark
from tools.bench.crowd import BODIES, draw_crowd
from tools.bench.lite import count_followed, run_decoder

SIZE = (240, 427)


@pytest.mark.parametrize("size", [SIZE, (64, 64), (427, 240)])
def test_no_body_ever_leaves_the_picture_or_covers_another(size: tuple[int, int]) -> None:
    crowd = draw_crowd(size, 40)
    areas = np.array([np.bincount(labels.ravel(), minlength=BODIES + 1)[1:] for labels in crowd.labels])
    assert areas.shape == (40, BODIES)
    assert (areas.min(axis=0) > 0.6 * areas.max(axis=0)).all()
    for labels in crowd.labels:
        assert not labels[[0, -1]].any()
        assert not labels[:, [0, -1]].any()


def test_the_clip_is_the_same_at_each_call() -> None:
    one, same = draw_crowd((64, 96), 3), draw_crowd((64, 96), 3)
    assert all(np.array_equal(a, b) for a, b in zip(one.frames, same.frames, strict=True))


def test_the_first_masks_are_of_the_largest_bodies() -> None:
    masks = draw_crowd(SIZE, 1).masks(BODIES)
    areas = [int(mask.sum()) for mask in masks]
    assert areas[0] > max(areas[1:5]) > min(areas[1:5]) > 2 * max(areas[5:])


@pytest.mark.parametrize("count", [1, 5, 20])
def test_all_objects_are_still_followed_at_the_end(count: int) -> None:
    run = run_decoder(draw_crowd((480, 854), 12), count)
    assert run.followed == count
    assert len(run.seconds) == 9


def test_an_object_that_is_lost_doubted_or_elsewhere_is_not_counted() -> None:
    truth = np.zeros((10, 20), np.uint8)
    truth[2:6, 2:6], truth[2:6, 8:12], truth[2:6, 14:18] = 1, 2, 3
    stamp = Stamp(camera="c", session=0, frame_id=0, captured_ns=0, captured_unix_ns=0)

    def count(*objects: object) -> int:
        return count_followed(Masks(stamp=stamp, size=(10, 20), objects=objects), truth)  # type: ignore[arg-type]

    assert count(object_mask(1, (2, 2, 4, 4)), object_mask(2, (8, 2, 4, 4))) == 2
    assert count(object_mask(1, (2, 2, 4, 4)), object_mask(2, (14, 2, 4, 4))) == 1
    assert count(object_mask(1, (2, 2, 4, 4), state="uncertain")) == 0
    assert count(object_mask(1, (0, 0, 0, 0), state="lost")) == 0


@pytest.mark.slow
def test_lite_measures_one_five_and_twenty_objects_and_tells_who_was_followed(tmp_path: Path) -> None:
    out = tmp_path / "lite.json"
    arguments = ["lite", "--frames", "30", "--repeat", "1", "--size", "320x180", "--json", str(out)]
    assert benchmark.main(arguments) == 0
    values = {row["measure"]: row["value"] for row in json.loads(out.read_text())["rows"]}
    times = [values[f"a step with {count} object{'s' if count > 1 else ''}"] for count in (1, 5, 20)]
    assert min(times) > 0  # which of them is longest is the machine's business
    assert values["5 objects against 1"] == pytest.approx(times[1] / times[0], rel=0.01)
    assert values["flow of a frame (DIS ULTRAFAST), the yardstick"] > 0
    assert [values[f"followed at the end, of {count}"] for count in (1, 5, 20)] == [1, 5, 20]
