"""COCO's run lengths against strings that pycocotools 2.0 wrote, and against strings that nobody should."""

from __future__ import annotations

import numpy as np
import pytest

from stream.arrays import Array
from stream.crops import crop_mask
from stream.errors import MessageError
from stream.public_wire import coco_rle


def small() -> Array:
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 3:6] = [[1, 1, 0], [1, 1, 1]]
    return mask


def ball() -> Array:
    y, x = np.mgrid[:48, :64]
    return ((x - 40) ** 2 / 200 + (y - 20) ** 2 / 150 < 1).astype(np.uint8)


def first_and_last() -> Array:
    mask = np.zeros((120, 160), np.uint8)
    mask[0, 0] = mask[-1, -1] = 1
    return mask


BY_PYCOCOTOOLS = {
    b"`1": np.zeros((6, 8), np.uint8),
    b"0`1": np.ones((6, 8), np.uint8),
    b"d02401O9": small(),
    b"cW13Z16K4M2N2N2N2O0O2O00000O2O00000001N1000001N101N2N2N2N3L5JP=": ball(),
    b"01ngb00": first_and_last(),
    b"1120O00012OO33MN0O30MO00017OK1NO0": (np.random.default_rng(7).random((7, 9)) < 0.5).astype(np.uint8),
}


@pytest.mark.parametrize(("string", "mask"), BY_PYCOCOTOOLS.items(), ids=map(bytes.decode, BY_PYCOCOTOOLS))
def test_strings_are_those_of_pycocotools(string: bytes, mask: Array) -> None:
    bbox, crop = crop_mask(mask)
    assert coco_rle.encode(crop, bbox, mask.shape) == string
    assert np.array_equal(coco_rle.decode(string, bbox, mask.shape), crop)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "0 bytes"),
        (b"p", "characters 48 to 111"),
        (b"/", "characters 48 to 111"),
        (b"`", "characters 48 to 111"),  # more is promised, nothing follows
        (b"PPPPPPP0", "8 groups"),
        (b"a1", "don't fill"),
        (b"O`1", "don't fill"),  # a run of -1
        (b"ooooooO" * 50, "don't fill"),
        (b"0`1", "outside its bbox"),
    ],
)
def test_what_is_no_mask_of_the_box_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        coco_rle.decode(payload, (3, 2, 3, 2), (6, 8))


def test_a_string_beyond_reason_is_refused_unread() -> None:
    with pytest.raises(MessageError, match=f"1 to {coco_rle.MAX_BYTES}"):
        coco_rle.decode(b"0" * (coco_rle.MAX_BYTES + 1), (3, 2, 3, 2), (6, 8))
