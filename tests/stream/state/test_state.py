"""The state folder: what an older version left is read, what a newer one wrote is refused, and it can be moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from recordings.packet_feed import PacketFeed

from nodes.output_checks import check_outputs
from stream.errors import ConfigError
from stream.recordings.folder import RecordingFolder
from stream.recordings.index_file import index_file, indexed_folder, read_index
from stream.recordings.plan import PlanOptions
from stream.recordings.retention import Limits
from stream.recordings.writer import SegmentWriter
from stream.settings.presets import load
from stream.state.files import write_whole
from stream.state.folder import prepare_state
from stream.supervision.journal import Journal, find_journal, to_journal, to_zones

# As runs wrote it before there was a state folder: zones among the objects, the first object without a label, as
# before there were any.
OLDER = {
    "journal": 1,
    "next_id": 9,
    "objects": [
        {
            "id": 3,
            "size": [40, 60],
            "points": [],
            "box": [1, 2, 30, 20],
            "mask": {"bbox": [0, 0, 0, 0], "packbits": ""},
            "restored": False,
            "asked": ["points", [], [1.0, 2.0, 30.0, 20.0], None],
        },
        {
            "id": 7,
            "size": [40, 60],
            "points": [[5, 6, 1]],
            "box": None,
            "mask": {"bbox": [4, 4, 8, 2], "packbits": "//8="},
            "restored": True,
            "seen_unix_ns": 12,
            "asked": [],
            "label": "the van",
        },
    ],
    "zones": {"gate": {"polygon": {"points": [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]}}, "old": None},
}


def config_of(folder: Path, **keys):
    own = {key.replace("__", "."): value for key, value in keys.items()}
    return load("lite", {"supervisor.state": str(folder), "capture.camera": "door", **own})


def loaded(config):
    prepare_state(config)
    journal = find_journal(config)
    assert journal is not None
    return journal, journal.load()


def described(registry):
    return list(registry.entries), registry.labels, registry.next_id, sorted(registry.zone_changes)


FOUND = ([3, 7], {7: "the van"}, 9, ["gate", "old"])


@pytest.mark.parametrize("place", ["named by supervisor.journal", "put into the folder"])
def test_a_journal_of_the_older_layout_is_read(tmp_path, place):
    state = tmp_path / "state"
    older = tmp_path / "door-objects.json"
    if place == "put into the folder":
        older = state / "cameras" / "door" / "objects.json"
        older.parent.mkdir(parents=True)
    older.write_text(json.dumps(OLDER))
    config = config_of(state, supervisor__journal=str(tmp_path / "{camera}-objects.json"))
    journal, registry = loaded(config)
    assert described(registry) == FOUND
    journal.save(to_journal(registry, with_zones=False), to_zones(registry))
    assert "zones" not in json.loads((state / "cameras/door/objects.json").read_text())
    assert set(json.loads((state / "cameras/door/zones.json").read_text())["changes"]) == {"gate", "old"}
    if place != "put into the folder":
        assert json.loads(older.read_text()) == OLDER  # read, never written
        older.unlink()
    moved = tmp_path / "other machine"
    shutil.move(state, moved)
    assert described(loaded(config_of(moved))[1]) == FOUND


def test_an_index_of_the_older_layout_is_read_and_moves_into_the_state_folder(tmp_path):
    config = config_of(tmp_path / "state", renderer__record=f"{tmp_path}/rec/")
    prepare_state(config)
    where = indexed_folder(config)
    assert where.index == tmp_path / "state/cameras/door/recordings.json"

    def record(index):
        feed = PacketFeed()
        writer = SegmentWriter(RecordingFolder(where.folder, "door", Limits(), index=index), PlanOptions(segment_s=2.0))
        writer.begin_stream(feed.template)
        for packet in feed.take(5):
            writer.write(packet)
        writer.close()

    record(None)
    older = read_index(where.folder / "index.json")
    folder = RecordingFolder(where.folder, "door", Limits(), index=index_file(config))
    folder.open()
    folder.close()
    assert read_index(where.index).segments == older.segments  # with all that no file of them tells
    assert older.segments[0].origin_pts_s is not None
    assert not (where.folder / "index.json").exists()
    record(where.index)
    assert len(read_index(where.index).segments) == 6


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("state.json", "state"),
        ("cameras/door/objects.json", "journal"),
        ("cameras/door/zones.json", "zones"),
        ("cameras/door/recordings.json", "recordings"),
    ],
)
def test_what_a_newer_version_wrote_is_refused_and_left_as_it_is(tmp_path, file, kind):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({kind: 2, "unheard": "of"}))
    with pytest.raises(ConfigError, match=rf"{kind} of version 2.*newer version.*reads up to version 1") as refusal:
        check_outputs(config_of(tmp_path))
    assert "\n" not in str(refusal.value)
    assert json.loads(path.read_text()) == {kind: 2, "unheard": "of"}


def test_a_journal_and_an_index_without_a_state_folder_are_refused_alike(tmp_path):
    (tmp_path / "j.json").write_text('{"journal": 2}')
    with pytest.raises(ConfigError, match="journal of version 2"):
        Journal(tmp_path / "j.json").load()
    assert (tmp_path / "j.json").exists()
    (tmp_path / "index.json").write_text('{"recordings": 2, "camera": 7}')
    assert read_index(tmp_path / "index.json") is None
    with pytest.raises(ConfigError, match="recordings of version 2"):
        RecordingFolder(tmp_path, "door", Limits()).open()


def test_spoilt_zones_are_set_aside_and_those_written_before_are_used(tmp_path, caplog):
    journal, registry = loaded(config_of(tmp_path))
    registry.zone_changes["gate"] = None
    journal.save(to_journal(registry, with_zones=False), to_zones(registry))
    registry.zone_changes["line"] = None
    journal.save(to_journal(registry, with_zones=False), to_zones(registry))
    zones = tmp_path / "cameras/door/zones.json"
    zones.write_text("{")
    assert sorted(loaded(config_of(tmp_path))[1].zone_changes) == ["gate"]
    assert "no zones (1 bytes" in caplog.text
    assert zones.with_name("zones.json.broken").exists()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_whole(tmp_path / "a.json", b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_whole(tmp_path / "a.json", b"new", keep_last=True)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.json": "old"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text(""), "is a file; needs a folder"),
        (lambda path: (path.mkdir(), (path / "cameras").write_text("")), "can't be written|is a file"),
    ],
)
def test_a_place_that_is_no_folder_is_one_readable_error(tmp_path, make, message):
    make(tmp_path / "state")
    with pytest.raises(ConfigError, match=message):
        prepare_state(config_of(tmp_path / "state"))
    with pytest.raises(ConfigError, match="names no folder of its own"):
        prepare_state(config_of(tmp_path / "other", capture__camera=".."))


def test_a_second_run_on_the_same_camera_of_a_state_folder_is_refused(tmp_path):
    first, _ = loaded(config_of(tmp_path))
    first.lock()
    with pytest.raises(ConfigError, match=r"^--state .*another run writes it"):
        find_journal(config_of(tmp_path)).lock()
    other = find_journal(config_of(tmp_path, capture__camera="hall"))
    prepare_state(config_of(tmp_path, capture__camera="hall"))
    other.lock()
    first.close()
    other.close()
