from __future__ import annotations

import base64

import numpy as np
import pytest
from builders import masks, object_mask

from stream.crops import crop_mask
from stream.errors import ConfigError, ControlError
from stream.messages import Prompt
from stream.supervision.journal import Journal, to_journal
from stream.supervision.prompt_checks import check_prompt, packed_mask, point_arrays
from stream.supervision.registry import Registry

SIZE = (40, 60)


def points(object_id=1, *xy, labels=None):
    return Prompt(
        object_id=object_id,
        xy=np.array(xy or [(5, 5)], np.float32),
        labels=np.array(labels or [1] * max(1, len(xy)), np.uint8),
    )


def test_ids_are_never_used_twice():
    registry = Registry()
    registry.add(points(1), SIZE)
    registry.remove(1)
    with pytest.raises(ControlError, match="has been used"):
        registry.add(points(1), SIZE)
    assert registry.next_id == 2


def test_an_object_without_a_mask_is_restored_by_its_prompts():
    registry = Registry()
    registry.add(points(1), SIZE)
    registry.refine(Prompt(object_id=1, kind="refine", xy=np.ones((1, 2), np.float32), labels=np.zeros(1, np.uint8)))
    assert [p.kind for p in registry.prompts()] == ["add", "refine"]


def test_an_object_with_a_mask_is_restored_by_its_last_one():
    registry = Registry()
    registry.add(points(1), SIZE)
    registry.observe(masks(5, object_mask(1, (3, 4, 5, 6)), size=SIZE))
    registry.observe(masks(6, object_mask(1, (0, 0, 0, 0), state="lost"), size=SIZE))
    (prompt,) = registry.prompts()
    assert prompt.kind == "restore"
    assert crop_mask(prompt.mask)[0] == (3, 4, 5, 6)
    assert registry.list_objects()[0]["state"] == "lost"


def test_a_mask_is_restored_at_the_size_that_the_feed_has_now():
    registry = Registry()
    registry.add(points(1), SIZE)
    registry.observe(masks(5, object_mask(1, (10, 10, 20, 10)), size=SIZE))
    registry.resize((80, 120))
    (prompt,) = registry.prompts()
    assert crop_mask(prompt.mask)[0] == (20, 20, 40, 20)


def test_old_masks_do_not_replace_newer_ones():
    registry = Registry()
    registry.add(points(1), SIZE)
    registry.observe(masks(9, object_mask(1, (1, 1, 2, 2)), size=SIZE))
    registry.observe(masks(3, object_mask(1, (7, 7, 2, 2)), size=SIZE))
    assert registry.list_objects()[0]["frame_id"] == 9


def test_the_journal_brings_everything_back(tmp_path):
    registry = Registry()
    registry.add(points(1, (5, 5), (9, 9), labels=[1, 0]), SIZE)
    registry.add(Prompt(object_id=2, box=(1.0, 2.0, 30.0, 20.0)), SIZE)
    mask = np.zeros(SIZE, np.uint8)
    mask[3:9, 4:20] = 1
    registry.add(Prompt(object_id=4, mask=mask), SIZE)
    registry.observe(masks(5, object_mask(2, (3, 4, 5, 6)), size=SIZE))
    journal = Journal(tmp_path / "j.json")
    journal.save(to_journal(registry))
    back = journal.load()
    assert back.next_id == 5
    one, two, four = back.prompts()
    assert one.xy.tolist() == [[5, 5], [9, 9]]
    assert one.labels.tolist() == [1, 0]
    assert (two.kind, crop_mask(two.mask)[0]) == ("restore", (3, 4, 5, 6))
    assert np.array_equal(four.mask, mask)


def test_the_same_prompt_is_recognised_and_another_one_is_not(tmp_path):
    registry = Registry()
    registry.add(Prompt(object_id=1, box=(1.0, 2.0, 30.0, 20.0)), SIZE)
    registry.observe(masks(5, object_mask(1, (3, 4, 5, 6)), size=SIZE))
    journal = Journal(tmp_path / "j.json")
    journal.save(to_journal(registry))
    back = journal.load()
    assert back.began_with(Prompt(object_id=1, box=(1, 2, 30, 20)))
    assert not back.began_with(Prompt(object_id=1, box=(5, 2, 30, 20)))
    assert not back.began_with(Prompt(object_id=2, box=(1, 2, 30, 20)))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"next_id":1,"objects":[{}]}', '{"next_id":"x","objects":[]}'])
def test_a_broken_journal_is_one_readable_error(tmp_path, text):
    (tmp_path / "j.json").write_text(text)
    with pytest.raises(ConfigError, match="remove the file"):
        Journal(tmp_path / "j.json").load()


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        (points(1, (60, 5)), "outside_frame"),
        (points(1, (-1, 5)), "outside_frame"),
        (points(1, (5, 5), labels=[0]), "bad_params"),
        (Prompt(object_id=1), "bad_params"),
        (Prompt(object_id=1, box=(5, 5, 5, 9)), "bad_params"),
        (Prompt(object_id=1, box=(9, 5, 5, 9)), "bad_params"),
        (Prompt(object_id=1, box=(0, 0, 61, 9)), "outside_frame"),
        (Prompt(object_id=1, mask=np.ones((4, 4), np.uint8)), "bad_params"),
        (Prompt(object_id=1, mask=np.zeros(SIZE, np.uint8)), "bad_params"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(prompt, code):
    with pytest.raises(ControlError) as error:
        check_prompt(prompt, SIZE)
    assert error.value.code == code


def test_prompts_that_fit_are_taken():
    for prompt in (
        points(1, (59, 39)),
        Prompt(object_id=1, box=(0, 0, 60, 40)),
        Prompt(object_id=1, mask=np.ones(SIZE, np.uint8)),
    ):
        check_prompt(prompt, SIZE)


@pytest.mark.parametrize(
    "value", ["x", [1], [[1]], [[1, 2, 3]], [["a", 1]], [[1, True]], [[1e9, 1]], [[float("nan"), 1]]]
)
def test_points_that_are_none_are_refused(value):
    with pytest.raises(ControlError):
        point_arrays(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"bbox": [0, 0, 8, 8], "packbits": "!"},
        {"bbox": [0, 0, 8, 8], "packbits": ""},
        {"bbox": [0, 0, 80, 8], "packbits": base64.b64encode(bytes(80)).decode()},
        {"bbox": [-1, 0, 8, 8], "packbits": base64.b64encode(bytes(8)).decode()},
        {"bbox": [0, 0, 8], "packbits": base64.b64encode(bytes(8)).decode()},
    ],
)
def test_packed_masks_that_are_none_are_refused(value):
    with pytest.raises(ControlError):
        packed_mask(value, SIZE)
