"""Label images, bit for bit."""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from nodes.renderer.retry import FIRST_WAIT_S, HEALTHY_S, LONGEST_WAIT_S, Retry
from nodes.renderer.sinks import LabelImages, davis_palette, label_png


def chunks(png: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG file, their checksums checked."""
    found, at = {}, 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert zlib.crc32(name + data) == int.from_bytes(png[at + 8 + length : at + 12 + length])
        found[name], at = data, at + 12 + length
    return found


def test_label_images_are_palette_pictures_that_read_back_bit_for_bit(tmp_path: Path):
    labels = np.arange(256, dtype=np.uint8).repeat(3).reshape(24, 32)
    LabelImages(tmp_path).write(labels, 7)
    path = tmp_path / "00007.png"
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "pal8"
        indices, _ = frame.to_ndarray()
    assert np.array_equal(indices, labels)
    as_colours = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert np.array_equal(as_colours, davis_palette()[labels])
    header = chunks(path.read_bytes())[b"IHDR"]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:8]), header[8], header[9]) == (32, 24, 8, 3)


def test_ids_above_255_become_a_16_bit_gray_picture(tmp_path: Path):
    labels = np.array([[0, 1, 255, 256], [300, 4095, 65535, 0]], np.uint16)
    LabelImages(tmp_path).write(labels, 123456)
    read_back = cv2.imread(str(tmp_path / "123456.png"), cv2.IMREAD_UNCHANGED)
    assert read_back.dtype == np.uint16
    assert np.array_equal(read_back, labels)


@pytest.mark.parametrize("name", [b"00005", b"T\xfcr", b"..", b"n" * 251])
def test_label_images_bear_the_names_of_their_frames(tmp_path: Path, name: bytes):
    LabelImages(tmp_path).write(np.zeros((4, 4), np.uint8), 1, name)
    assert os.listdir(os.fsencode(tmp_path)) == [name + b".png"]


def test_a_part_of_a_larger_array_is_written_like_any_other():
    labels = np.arange(200, dtype=np.uint8).reshape(10, 20)[::2, 3:9]
    indices = cv2.imdecode(np.frombuffer(label_png(labels), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(cv2.cvtColor(indices, cv2.COLOR_BGR2RGB), davis_palette()[labels])


def test_the_palette_is_that_of_davis():
    palette = davis_palette()
    begin = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]
    assert [tuple(c) for c in palette[:7].tolist()] == begin
    assert palette[9].tolist() == [191, 0, 0]
    assert palette[21].tolist() == [128, 64, 128]
    assert palette[22].tolist() == [22, 22, 22]
    assert palette[255].tolist() == [255, 255, 255]


def test_label_images_stop_with_one_warning_when_the_disk_is_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "full")

    sink = LabelImages(tmp_path)
    sink.write(np.zeros((4, 4), np.uint8), 0)
    monkeypatch.setattr(Path, "write_bytes", full)
    for i in range(1, 4):
        sink.write(np.zeros((4, 4), np.uint8), i)
    assert [r.getMessage() for r in caplog.records] == [
        f"label images in {tmp_path} stopped at frame 1: {os.strerror(errno.ENOSPC)}"
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["00000.png"], "no half file stays"


def test_label_images_go_on_when_the_disk_has_room_again(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    now_s = 0.0
    sink, labels = LabelImages(tmp_path / "masks", lambda: now_s), np.zeros((4, 4), np.uint8)
    sink.write(labels, 0)
    assert sink.state().error == os.strerror(errno.ENOENT)
    (tmp_path / "masks").mkdir()
    sink.write(labels, 1)
    assert sink.written == 0, "it is not tried again at once"
    now_s = FIRST_WAIT_S
    sink.write(labels, 2)
    sink.write(labels, 3)
    assert (sink.written, sink.state().error) == (2, "")
    assert caplog.records[-1].getMessage() == f"label images in {tmp_path / 'masks'} go on at frame 2; 2 are missing"
    assert len(caplog.records) == 2


def test_attempts_become_rarer_until_one_lasts():
    retry, now_s, waits = Retry(), 0.0, []
    for _ in range(9):
        retry.fail(now_s)
        began_s = now_s
        while not retry.is_due(now_s):
            now_s += FIRST_WAIT_S
        waits.append(now_s - began_s)
    assert waits == [5, 10, 20, 40, 80, 160, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    now_s += HEALTHY_S
    retry.fail(now_s)
    assert retry.is_due(now_s + FIRST_WAIT_S)
    retry.postpone(now_s + 3)
    assert not retry.is_due(now_s + FIRST_WAIT_S)
