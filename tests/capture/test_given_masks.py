"""Masks that users give as pictures: what is read as objects, and what is refused with the reason."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from nodes.capture.label_images import read_label_image
from stream.arrays import Array
from stream.errors import PromptError

GRAY, PALETTE = 0, 3  # colour types of PNG


def saved(path: Path, labels: Array) -> Path:
    assert cv2.imwrite(str(path), labels)
    return path


def write_png(path: Path, labels: Array, bits: int, kind: int, *, alpha: bool) -> None:
    """A PNG of so many bits a pixel, which OpenCV can't write; with a transparent 0 where `alpha`."""
    rows = [b"".join(int(v).to_bytes(2) for v in row) if bits == 16 else packed(row, bits) for row in labels]
    chunks = {b"IHDR": struct.pack(">IIBBBBB", labels.shape[1], labels.shape[0], bits, kind, 0, 0, 0)}
    chunks |= {b"PLTE": bytes(range(3 << bits))} if kind == PALETTE else {}
    chunks |= {b"tRNS": bytes(1 if kind == PALETTE else 2)} if alpha else {}
    chunks |= {b"IDAT": zlib.compress(b"".join(b"\0" + row for row in rows)), b"IEND": b""}
    body = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks.items()]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))


def packed(row: Array, bits: int) -> bytes:
    """The values of a row, each in so many bits, filled up to whole bytes."""
    text = "".join(f"{int(value):0{bits}b}" for value in row)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


def squares(**values: int) -> Array:
    """(64, 96) with a square of each value."""
    labels = np.zeros((64, 96), np.uint8)
    for i, value in enumerate(values.values()):
        labels[10:30, 4 + 18 * i : 20 + 18 * i] = value
    return labels


def test_each_value_of_a_label_image_is_an_object(tmp_path):
    objects = read_label_image(saved(tmp_path / "m.png", squares(a=3, b=38, void=255)))
    assert {i: int(mask.sum()) for i, mask in objects.items()} == {3: 320, 38: 320}


def test_black_and_white_is_one_object(tmp_path):
    assert list(read_label_image(saved(tmp_path / "m.png", squares(a=255)))) == [1]


def test_ids_above_255_are_read_from_16_bits(tmp_path):
    labels = squares(a=1).astype(np.uint16) * 300
    assert list(read_label_image(saved(tmp_path / "m.png", labels))) == [300]


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(
    ("bits", "kind"), [(1, GRAY), (2, GRAY), (4, GRAY), (8, GRAY), (16, GRAY), (2, PALETTE), (4, PALETTE)]
)
def test_ids_are_what_the_pixels_hold_whatever_their_bits(tmp_path, bits, kind, alpha):
    labels = np.zeros((9, 17), np.uint16)
    labels[1:4, 1:4] = 1
    if bits > 1:
        labels[5:8, 5:15] = 3 if bits == 2 else 13
    write_png(tmp_path / "m.png", labels, bits, kind, alpha=alpha)
    objects = read_label_image(tmp_path / "m.png")
    assert {i: int(mask.sum()) for i, mask in objects.items()} == {
        i: int((labels == i).sum()) for i in set(labels.flat) - {0}
    }


def test_white_of_16_bits_alone_is_one_object_and_255_is_an_id_there(tmp_path):
    labels = squares(a=1).astype(np.uint16)
    assert list(read_label_image(saved(tmp_path / "m.png", labels * 65535))) == [1]
    labels[40:, 40:] = 300
    labels[labels == 1] = 255
    assert list(read_label_image(saved(tmp_path / "m.png", labels))) == [255, 300]


def test_a_name_with_a_colon_is_a_file(tmp_path):
    assert list(read_label_image(saved(tmp_path / "2024-11-14T22:57:44.png", squares(a=1)))) == [1]


def test_thin_and_tiny_objects_among_others_are_read(tmp_path):
    labels = squares(a=1, b=2, c=3)
    labels[40, 10:60] = 4
    labels[50, 50] = 5
    labels[50, 60] = 6
    assert list(read_label_image(saved(tmp_path / "m.png", labels))) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("white", [255, 200])
def test_a_mask_with_smooth_edges_is_refused(tmp_path, white):
    smooth = cv2.GaussianBlur(squares(a=white), (0, 0), 2)
    with pytest.raises(PromptError, match="smooth edges"):
        read_label_image(saved(tmp_path / "m.png", smooth))


def test_a_folder_is_no_mask(tmp_path):
    with pytest.raises(PromptError, match="a folder; needs one label image"):
        read_label_image(tmp_path)


def test_a_jpeg_is_refused(tmp_path):
    with pytest.raises(PromptError, match="whose compression changes ids; needs a label image saved as PNG"):
        read_label_image(saved(tmp_path / "m.jpg", squares(a=255)))


def test_a_photo_is_refused(tmp_path):
    with pytest.raises(PromptError, match="needs a label image"):
        read_label_image(saved(tmp_path / "m.png", np.zeros((64, 96, 3), np.uint8)))


def test_what_holds_no_object_or_is_not_there_is_refused(tmp_path):
    with pytest.raises(PromptError, match="holds no object"):
        read_label_image(saved(tmp_path / "m.png", squares()))
    with pytest.raises(PromptError, match="no such file"):
        read_label_image(tmp_path / "nope.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(PromptError, match="no picture that can be read"):
        read_label_image(tmp_path / "text.png")
