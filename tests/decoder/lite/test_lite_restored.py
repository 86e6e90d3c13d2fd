"""An object whose decoder was restarted: looked for by its last good picture, and never claimed where it is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from decoder.lite.textured_square import SIZE, draw, iou, tracks

from nodes.decoder.lite.backend import Lite
from nodes.decoder.segmentation import Segmenter
from stream.crops import crop_mask, uncrop_mask
from stream.messages import Prompt, Sighting


def seen_at(x: float, *, with_picture: bool) -> Prompt:
    """The prompt that restores the square as it was at x."""
    rgb, mask = draw(x)
    sighting = Sighting(size=SIZE, window=(0, 0, SIZE[1], SIZE[0]), rgb=rgb, mask=mask) if with_picture else None
    return Prompt(object_id=1, kind="restore", mask=mask, seen_unix_ns=1, sighting=sighting)


def restored(prompt: Prompt, xs: list[float]) -> list[tuple[str, float]]:
    """(state, IoU) on each frame of a new decoder."""
    segmenter, out = Segmenter(Lite()), []
    for i, x in enumerate(xs):
        rgb, truth = draw(x)
        (o,) = segmenter.step(tracks(i, rgb, *([prompt] if i == 0 else [])))[0].objects
        out.append((o.state, iou(uncrop_mask(o.bbox, o.mask, truth.shape), truth)))
    return out


def test_an_object_that_went_elsewhere_is_found_by_its_picture():
    result = restored(seen_at(20, with_picture=True), [130.0 + i for i in range(12)])
    assert result[0][0] == "uncertain"
    assert result[-1][0] in ("tracked", "reacquired")
    assert result[-1][1] > 0.9
    assert all(overlap > 0.8 for state, overlap in result if state in ("tracked", "reacquired"))


def test_an_object_that_is_gone_is_lost_and_nothing_is_claimed_in_its_place():
    result = restored(seen_at(20, with_picture=True), [400.0] * 12)
    assert {state for state, _ in result} <= {"uncertain", "lost"}
    assert result[-1][0] == "lost"


@pytest.mark.parametrize(("x", "believed"), [(20.0, True), (130.0, False)])
def test_a_mask_without_a_picture_is_believed_only_where_the_frame_shows_its_shape(x, believed):
    result = restored(seen_at(20, with_picture=False), [x] * 6)
    assert result[0][0] == "uncertain"
    assert (result[-1][0] == "tracked") == believed
    assert (result[-1][1] > 0.9) == believed


def test_a_picture_of_another_frame_size_is_not_used():
    rgb, mask = draw(20)
    box, crop = crop_mask(mask)
    x, y, width, height = box
    part = rgb[y : y + height, x : x + width]
    other = Sighting(size=(SIZE[0] * 2, SIZE[1] * 2), window=box, rgb=np.ascontiguousarray(part), mask=crop)
    result = restored(Prompt(object_id=1, kind="restore", mask=mask, sighting=other), [20.0] * 4)
    assert result[-1][0] == "tracked"


def test_a_picture_at_a_lower_resolution_finds_the_object_as_well():
    rgb, mask = draw(20)
    small = (-(-SIZE[1] // 2), -(-SIZE[0] // 2))
    sighting = Sighting(
        size=SIZE,
        window=(0, 0, SIZE[1], SIZE[0]),
        rgb=cv2.resize(rgb, small, interpolation=cv2.INTER_AREA),
        mask=cv2.resize(mask, small, interpolation=cv2.INTER_NEAREST),
        reduction=2,
    )
    prompt = Prompt(object_id=1, kind="restore", mask=mask, seen_unix_ns=1, sighting=sighting)
    result = restored(prompt, [130.0 + i for i in range(12)])
    assert result[-1][0] in ("tracked", "reacquired")
    assert result[-1][1] > 0.9
