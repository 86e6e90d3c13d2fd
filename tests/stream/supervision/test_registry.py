from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from builders import masks, object_mask
from msgspec.structs import replace

from stream.crops import crop_mask
from stream.errors import ConfigError, ControlError
from stream.messages import MAX_OBJECT_ID, Prompt
from stream.supervision.journal import Journal, from_journal, to_journal
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


def test_the_last_good_mask_restores_an_object_with_its_time(tmp_path):
    registry = Registry()
    registry.add(points(1), SIZE)
    journal = Journal(tmp_path / "j.json")
    seen = [(1, "uncertain", 2), (2, "tracked", 3), (3, "uncertain", 9), (4, "lost", 0)]
    expected = [(2, 0), (3, 80_000_000), (3, 80_000_000), (3, 80_000_000)]
    for (frame_id, state, side), (kept_side, kept_ns) in zip(seen, expected, strict=True):
        mask = replace(object_mask(1, (1, 1, side, side)), state=state)
        registry.observe(masks(frame_id, mask, size=SIZE))
        journal.save(to_journal(registry))
        for prompt in (*registry.prompts(), journal.load().entries[1].first_prompt):
            assert crop_mask(prompt.mask)[0] == (1, 1, kept_side, kept_side)
            assert prompt.seen_unix_ns == kept_ns
    again = from_journal(to_journal(journal.load()))  # two runs without a mask of it
    again.observe(masks(5, replace(object_mask(1, (1, 1, 7, 7)), state="uncertain"), size=SIZE))
    (prompt,) = again.prompts()
    assert (prompt.kind, crop_mask(prompt.mask)[0], prompt.seen_unix_ns) == ("restore", (1, 1, 3, 3), 80_000_000)


def test_an_object_keeps_its_label_and_tells_why_and_since_when_it_is_lost():
    registry = Registry()
    registry.add(points(1), SIZE)
    registry.rename(1, "cat")
    lost = replace(object_mask(1, (0, 0, 0, 0), state="lost"), reason="no mask found")
    known = []
    for frame_id, mask in ((5, object_mask(1, (1, 1, 2, 2))), (50, lost), (75, lost), (76, object_mask(1))):
        registry.observe(masks(frame_id, mask, size=SIZE))
        (o,) = registry.list_objects()
        known.append((o["label"], o["state"], o["reason"], o["lost_since"]))
    assert known == [
        ("cat", "tracked", "", None),
        ("cat", "lost", "no mask found", 2.0),
        ("cat", "lost", "no mask found", 2.0),
        ("cat", "tracked", "", None),
    ]


@pytest.mark.parametrize("label", ["", "x" * 64, "größte Katze 🐈", "  two  spaces "])
def test_a_label_is_one_line_of_text(label):
    registry = Registry()
    registry.add(points(1), SIZE)
    registry.rename(1, label)
    assert from_journal(to_journal(registry)).entries[1].label == label
    assert registry.labels == ({1: label} if label else {})


@pytest.mark.parametrize("label", ["x" * 65, "two\nlines", "\x1b[31m", "\0", "\ud800", "\u2028", "\u202egnp", None, 7])
def test_what_is_no_line_of_text_is_no_label(label):
    registry = Registry()
    registry.add(points(1), SIZE)
    with pytest.raises(ControlError, match="label: ") as error:
        registry.rename(1, label)
    assert error.value.code == "bad_params"
    assert registry.labels == {}


def test_a_journal_from_before_there_were_labels_is_read():
    registry = Registry()
    registry.add(points(1), SIZE)
    plain = json.loads(to_journal(registry))
    del plain["objects"][0]["label"]
    assert from_journal(json.dumps(plain)).entries[1].label == ""


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


BROKEN = [
    "",
    "{",
    "[]",
    "{}",
    "\0" * 99,
    '{"next_id":1,"objects":[{}]}',
    '{"next_id":"x","objects":[]}',
    '{"objects":[7]}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_journal_is_set_aside_and_the_one_written_before_is_used(tmp_path, caplog, text):
    registry, journal = Registry(), Journal(tmp_path / "j.json")
    for object_id in (1, 2):
        registry.add(points(object_id, (5, 5)), SIZE)
        journal.save(to_journal(registry))
    journal.path.write_text(text)
    assert list(journal.load().entries) == [1]
    assert "no journal" in caplog.text
    assert (tmp_path / "j.json.broken").read_text() == text
    assert list(journal.load().entries) == [1]  # and so it does the next time


def test_a_journal_whose_predecessor_is_broken_too_begins_empty(tmp_path, caplog):
    for name in ("j.json", "j.json.last"):
        (tmp_path / name).write_text("")
    assert Journal(tmp_path / "j.json").load().entries == {}
    assert caplog.text.count("no journal (0 bytes") == 2


def test_a_journal_that_can_not_be_opened_is_one_readable_error(tmp_path):
    (tmp_path / "j.json").mkdir()
    with pytest.raises(ConfigError, match="can't be read"):
        Journal(tmp_path / "j.json").load()


def test_a_journal_is_on_the_disk_before_it_takes_the_place_of_the_old_one(tmp_path, monkeypatch):
    journal, at_fsync = Journal(tmp_path / "j.json"), []
    journal.save("old")
    monkeypatch.setattr("os.fsync", lambda fd: at_fsync.append(journal.path.read_text()))
    journal.save("new")
    assert at_fsync == ["old", "new"]  # the file, then the folder


def test_the_second_run_on_a_journal_is_refused_while_the_first_goes_on(tmp_path):
    first, second = Journal(tmp_path / "j.json"), Journal(tmp_path / "j.json")
    first.lock()
    with pytest.raises(ConfigError, match="another run writes it"):
        second.lock()
    first.save("kept")  # replaces the file, not what is locked
    with pytest.raises(ConfigError):
        second.lock()
    first.close()
    second.lock()
    second.close()


def test_once_all_ids_are_used_a_restart_gives_those_of_removed_objects_free():
    registry = Registry(next_id=MAX_OBJECT_ID - 1)
    for object_id in (MAX_OBJECT_ID - 1, MAX_OBJECT_ID):
        registry.add(points(object_id, (5, 5)), SIZE)
    registry.remove(MAX_OBJECT_ID)
    with pytest.raises(ControlError, match="restart the run"):
        registry.add(points(registry.next_id, (5, 5)), SIZE)

    again = from_journal(to_journal(registry))
    assert again.next_id == 1
    with pytest.raises(ControlError, match="has been used"):
        again.add(points(MAX_OBJECT_ID - 1, (5, 5)), SIZE)
    again.add(points(MAX_OBJECT_ID - 2, (5, 5)), SIZE)
    assert again.next_id == MAX_OBJECT_ID  # the one between is alive

    third = from_journal(to_journal(again))
    third.remove(MAX_OBJECT_ID - 1)
    with pytest.raises(ControlError, match="has been used"):  # by this run
        third.add(points(MAX_OBJECT_ID - 1, (5, 5)), SIZE)


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
