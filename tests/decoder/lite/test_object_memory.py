"""What the classical mask model remembers of an object is bounded."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.lite.textured_square import draw, run, speckled, tracks

from nodes.decoder.lite.backend import Lite
from nodes.decoder.segmentation import Segmenter
from stream.messages import Prompt


def count_bytes(value, counted_ids=None) -> int:
    """Bytes of all arrays in an object, wherever they hang."""
    counted_ids = set() if counted_ids is None else counted_ids
    if id(value) in counted_ids:
        return 0
    counted_ids.add(id(value))
    if isinstance(value, np.ndarray):
        return value.nbytes if value.base is None else count_bytes(value.base, counted_ids)
    return sum(count_bytes(v, counted_ids) for v in vars(value).values()) if hasattr(value, "__dict__") else 0


def test_memory_of_an_object_does_not_grow():
    lite = Lite()
    clip = [draw(40 + 10 * np.sin(i / 5)) for i in range(40)]
    run(clip[:5], clip[0][1], Segmenter(lite))
    size = count_bytes(lite.memories[1])
    assert size < 40e6
    run(clip, clip[0][1], Segmenter(lite))
    assert count_bytes(lite.memories[1]) == pytest.approx(size, rel=0.02)  # a template is as large as its object
    assert list(lite.memories) == [1]


def test_memory_of_an_object_that_fills_the_largest_frames_is_bounded_too():
    size, lite = (2160, 3840), Lite()
    rgb, mask = speckled(size), np.zeros(size, np.uint8)
    mask[10:-10, 10:-10] = 1
    segmenter = Segmenter(lite)
    for i in range(3):
        segmenter.step(tracks(i, rgb, *([Prompt(object_id=1, mask=mask)] if i == 0 else [])))
    assert count_bytes(lite.memories[1]) + count_bytes(segmenter.objects[1]) < 40e6
