"""Masks to payloads and back."""

from __future__ import annotations

import numpy as np
import pytest
from public_wire.ellipse_masks import ellipse

from stream.arrays import Array
from stream.crops import crop_mask
from stream.errors import MessageError
from stream.public_wire.codecs import Codec, decode_mask, encode_mask, payload_shape

SIZE = (29, 37)
CODECS: tuple[Codec, ...] = ("packbits", "coco_rle", "png")


def corners() -> Array:
    mask = np.zeros(SIZE, np.uint8)
    mask[[0, -1], [0, -1]] = 1
    return mask


MASKS = {
    "empty": np.zeros(SIZE, np.uint8),
    "full": np.ones(SIZE, np.uint8),
    "first pixel": np.pad(np.ones((1, 1), np.uint8), ((0, 28), (0, 36))),
    "last pixel": np.pad(np.ones((1, 1), np.uint8), ((28, 0), (36, 0))),
    "two corners": corners(),
    "ellipse": ellipse(SIZE, (20, 14), (9, 7)),
    "noise": np.random.default_rng(3).integers(0, 2, SIZE, dtype=np.uint8),
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_every_mask_survives_every_codec(codec: Codec, mask: Array) -> None:
    bbox, crop = crop_mask(mask)
    decoded = decode_mask(codec, encode_mask(codec, crop, bbox, SIZE), bbox, SIZE)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, crop)


@pytest.mark.parametrize("codec", CODECS)
def test_a_mask_of_any_nonzero_value_counts_as_ones(codec: Codec) -> None:
    bbox, crop = crop_mask(MASKS["ellipse"])
    assert encode_mask(codec, crop * 255, bbox, SIZE) == encode_mask(codec, crop, bbox, SIZE)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("bbox", [(5, 6, 0, 0), (5, 6, 0, 3), (5, 6, 4, 0)])
def test_a_box_without_pixels_survives_wherever_it_lies(codec: Codec, bbox: tuple[int, int, int, int]) -> None:
    crop = np.zeros((bbox[3], bbox[2]), np.uint8)
    assert decode_mask(codec, encode_mask(codec, crop, bbox, SIZE), bbox, SIZE).shape == crop.shape


def test_packed_rows_follow_each_other_without_a_gap() -> None:
    crop = np.array([[0, 1, 1, 1, 1], [1, 1, 1, 1, 0]], np.uint8)
    assert encode_mask("packbits", crop, (2, 3, 5, 2), (6, 8)) == bytes([0b01111111, 0b10000000])


def test_spare_bits_are_not_looked_at() -> None:
    assert np.array_equal(decode_mask("packbits", b"\x80\x7f", (0, 0, 3, 3), (6, 8)), [[1, 0, 0], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x00\x00"])
def test_bits_that_do_not_fill_the_box_are_refused(payload: bytes) -> None:
    with pytest.raises(MessageError, match="5x2 px fill 2"):
        decode_mask("packbits", payload, (2, 3, 5, 2), (6, 8))


def test_run_lengths_are_of_the_frame_and_the_others_of_the_crop() -> None:
    assert payload_shape("coco_rle", (2, 3, 5, 2), (6, 8)) == (6, 8)
    assert payload_shape("packbits", (2, 3, 5, 2), (6, 8)) == (2, 5)
    assert payload_shape("png", (2, 3, 5, 2), (6, 8)) == (2, 5)
