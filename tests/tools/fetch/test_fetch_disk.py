"""Full disks, folders that can't be written, two fetches at once, archives."""

from __future__ import annotations

import collections
import errno
import os
import shutil
from pathlib import Path

import pytest
from weights_server import PAYLOAD, Fetch, WeightsServer, archive, row

from stream.weights.published import Checkpoint
from tools.fetch.disk import FetchError, locked

Usage = collections.namedtuple("Usage", "total used free")


def test_a_disk_without_room_is_told_before_a_byte_is_written(
    server: WeightsServer, fetching: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 1000))
    with pytest.raises(FetchError, match=r"no room on the disk: 0.3 MiB are still to come .* but 1,000 bytes are free"):
        fetching(row(PAYLOAD, server.url))
    assert fetching.left == []


def test_a_disk_that_fills_up_keeps_what_came(
    server: WeightsServer, fetching: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(fd: int, block: bytes) -> int:
        room = 150_000 - os.fstat(fd).st_size
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, block[:room])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(
        FetchError, match=r"the disk is full \(No space left on device\); the 0.1 MiB .* kept"
    ) as caught:
        fetching(row(PAYLOAD, server.url))
    assert caught.value.exit_code == 1
    assert fetching.part.read_bytes() == PAYLOAD[:150_000]
    monkeypatch.setattr(os, "write", real)
    fetching(row(PAYLOAD, server.url))
    assert server.ranges_asked() == ["", "bytes=150000-"]
    assert fetching.target.read_bytes() == PAYLOAD


def test_a_device_that_is_really_full_is_told_in_one_sentence(server: WeightsServer, fetching: Fetch) -> None:
    fetching.folder.mkdir()
    fetching.part.symlink_to("/dev/full")
    with pytest.raises(FetchError, match="the disk is full"):
        fetching(row(PAYLOAD, server.url))


def test_a_folder_that_cannot_be_written_is_told(server: WeightsServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"file/hub can't be written \(Not a directory\); --folder DIR"):
        Fetch(tmp_path / "file" / "hub")(row(PAYLOAD, server.url))
    assert server.requests == []


def test_two_fetches_of_one_file_do_not_mix(server: WeightsServer, fetching: Fetch) -> None:
    with locked(fetching.target), pytest.raises(FetchError, match=rf"fetched already \(process {os.getpid()}\)"):
        fetching(row(PAYLOAD, server.url))
    fetching(row(PAYLOAD, server.url))
    assert fetching.left == ["tiny.pth"]


def test_a_lock_left_by_a_process_that_died_is_no_hindrance(server: WeightsServer, fetching: Fetch) -> None:
    fetching.folder.mkdir()
    (fetching.folder / "tiny.pth.lock").write_text("12345")
    fetching(row(PAYLOAD, server.url))
    assert fetching.left == ["tiny.pth"]


def packed_row(server: WeightsServer) -> Checkpoint:
    return row(PAYLOAD, server.url, published_as="model-000200000.pth")


def test_of_an_archive_only_the_weights_are_unpacked(server: WeightsServer, fetching: Fetch) -> None:
    server.payload = archive(
        ("../../outside.pth", b"no"),
        ("/tmp/absolute.pth", b"no"),
        ("reference_model/train.log", b"no"),
        ("reference_model/model-000200000.pth", PAYLOAD),
        links={"model-000200000.pth": "/etc/passwd"},
    )
    fetching(packed_row(server))
    assert fetching.target.read_bytes() == PAYLOAD
    assert fetching.left == ["tiny.pth"]
    assert [path.name for path in fetching.folder.parent.iterdir()] == ["hub"]


def test_an_archive_without_the_weights_is_refused(server: WeightsServer, fetching: Fetch) -> None:
    server.payload = archive(("reference_model/other.pth", PAYLOAD))
    with pytest.raises(FetchError, match=r"is an archive without model-000200000.pth"):
        fetching(packed_row(server))
    assert not fetching.target.exists()


WHOLE = archive(("reference_model/model-000200000.pth", PAYLOAD))


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (WHOLE[:1000], "an archive that can't be read"),
        (WHOLE[:200] + bytes(100) + WHOLE[300:], "an archive that can't be read"),
        (WHOLE[:100_000] + bytes(1000) + WHOLE[101_000:], "an archive that can't be read|not the published file"),
    ],
)
def test_an_archive_that_is_damaged_is_set_aside_and_fetched_anew(
    server: WeightsServer, fetching: Fetch, damaged: bytes, words: str
) -> None:
    server.payload = damaged
    with pytest.raises(FetchError, match=words):
        fetching(packed_row(server))
    assert fetching.left == ["tiny.pth.bad"]
    server.payload = WHOLE
    fetching(packed_row(server))
    assert fetching.target.read_bytes() == PAYLOAD


def test_an_archive_that_there_is_no_room_to_unpack_is_kept(
    server: WeightsServer, fetching: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(fd: int, block: bytes) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(".unpacked"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, block)

    server.payload = WHOLE
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FetchError, match="the disk is full"):
        fetching(packed_row(server))
    assert fetching.left == ["tiny.pth.part", "tiny.pth.part.json"]
    monkeypatch.setattr(os, "write", real)
    fetching(packed_row(server))
    assert len(server.requests) == 1
    assert fetching.target.read_bytes() == PAYLOAD
