"""Many objects at once share the work: slower, never wrong."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.lite.backend import Lite
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.messages import Masks
from tools.bench.crowd import Crowd, draw_crowd
from tools.bench.lite import count_followed, decoder_inputs

SIZE, FRAMES = (240, 430), 30


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return draw_crowd(SIZE, FRAMES)


def run(lite: Lite, crowd: Crowd, count: int) -> list[Masks]:
    """The masks of every frame, of the first `count` bodies."""
    segmenter = Segmenter(lite)
    return [segmenter.step(message)[0] for message in decoder_inputs(crowd, count)]


def test_a_crowd_of_twenty_is_followed_to_the_end_and_shares_no_pixel(crowd):
    masks = run(Lite(), crowd, 20)
    for frame in masks:
        assert np.sum([uncrop_mask(o.bbox, o.mask, SIZE) > 0 for o in frame.objects], axis=0).max() == 1
    assert count_followed(masks[-1], crowd.labels[-1]) == 20


def test_objects_that_adapt_on_alternate_frames_all_adapt_and_all_have_a_new_template(crowd):
    lite = Lite()
    run(lite, crowd, 6)
    for memory in lite.memories.values():
        assert memory.template_age > 0
        assert not np.array_equal(
            memory.overall_colours.mass[:, 2:], memory.overall_colours.mass[:, :2]
        )  # adapted, and as at first
