"""What one object costs the tracker, whatever the size of the frames."""

from __future__ import annotations

import tracemalloc

import numpy as np
from msgspec.structs import replace
from tracker.drifting_points import frame, tracker

from stream.messages import Frame, Prompt, Seed, Seeds

SIZE = (4320, 7680)  # 8K
LIMIT_BYTES = 20 << 20
OBJECTS = 3


def picture(i: int) -> Frame:
    """A frame of 8K that takes no memory itself."""
    level = np.broadcast_to(np.uint8(i), (*SIZE, 3))
    return replace(frame(i), rgb=level)


def whole_mask() -> np.ndarray:
    """An object that fills the frame, but for its edge."""
    mask = np.zeros(SIZE, np.uint8)
    mask[8:-8, 8:-8] = 1
    return mask


def test_an_object_that_fills_an_8k_frame_takes_less_than_20_mb():
    t, mask = tracker(), whole_mask()
    t.step(picture(0))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for object_id in range(1, OBJECTS + 1):
            t.add(Prompt(object_id=object_id, mask=mask.copy()))
        waiting = tracemalloc.get_traced_memory()[0] - before
        tracks = t.step(picture(1))
        bbox = (8, 8, SIZE[1] - 16, SIZE[0] - 16)
        crop = mask[8:-8, 8:-8].copy()
        given = tuple(Seed(object_id=i, bbox=bbox, mask=crop) for i in range(1, OBJECTS + 1))
        t.reseed(Seeds(frame_id=1, epoch=0, size=SIZE, objects=given))
        del tracks, given, crop
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert waiting < OBJECTS * LIMIT_BYTES
    assert held < OBJECTS * LIMIT_BYTES
    assert np.array_equal(t.objects[1].mask, mask)
    assert np.array_equal(t.objects[2].mask_at(1), mask)


def test_the_picture_of_a_large_object_is_kept_at_a_lower_resolution_and_stands_for_the_same_part_of_the_frame():
    t = tracker()
    t.add(Prompt(object_id=1, mask=whole_mask()))
    t.step(picture(0))
    bbox = (1000, 1000, 5000, 2500)
    t.reseed(
        Seeds(
            frame_id=0,
            epoch=0,
            size=SIZE,
            objects=(Seed(object_id=1, bbox=bbox, mask=np.ones((2500, 5000), np.uint8)),),
        )
    )
    sighting = t.objects[1].sighting
    x, y, width, height = sighting.window
    assert sighting.size == SIZE
    assert sighting.rgb.nbytes + sighting.mask.nbytes < LIMIT_BYTES
    assert (x, y, width, height) == (0, 0, 7680, 4320)
    rows, columns = np.nonzero(sighting.mask)
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) * sighting.reduction
    assert np.abs(seen - [1000, 1000, 6000, 3500]).max() <= sighting.reduction
