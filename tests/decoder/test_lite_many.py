"""Many objects at once share the work: slower, never wrong."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.lite import Lite
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.messages import Frame, Masks, ObjectTrack, Prompt, Stamp, Tracks
from tools.bench.crowd import Crowd, draw_crowd
from tools.bench.lite import followed

SIZE, FRAMES = (240, 430), 30


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return draw_crowd(SIZE, FRAMES)


def run(lite: Lite, crowd: Crowd, count: int) -> list[Masks]:
    """The masks of every frame, of the first `count` bodies."""
    segmenter, none = Segmenter(lite), np.zeros(0, np.float32)
    tracks = tuple(
        ObjectTrack(object_id=i, xy=np.zeros((0, 2), np.float32), visibility=none, labels=none.astype(np.uint8))
        for i in range(1, count + 1)
    )
    prompts = tuple(Prompt(object_id=i, mask=mask) for i, mask in enumerate(crowd.masks(count), start=1))
    out = []
    for t, rgb in enumerate(crowd.frames):
        stamp = Stamp(camera="c", session=0, frame_id=t, captured_ns=t, captured_unix_ns=t)
        message = Tracks(frame=Frame(stamp=stamp, rgb=rgb), objects=tracks, prompts=() if t else prompts)
        out.append(segmenter.step(message)[0])
    return out


def test_twenty_objects_are_followed_at_once_and_share_no_pixel(crowd):
    masks = run(Lite(), crowd, 20)
    for frame in masks:
        assert np.sum([uncrop_mask(o.bbox, o.mask, SIZE) > 0 for o in frame.objects], axis=0).max() == 1
    assert followed(masks[-1], crowd.labels[-1]) == 20


def test_objects_that_take_turns_all_learn_and_all_have_a_new_look(crowd):
    lite = Lite()
    run(lite, crowd, 6)
    for memory in lite.memories.values():
        assert memory.look_age > 0
        assert not np.array_equal(memory.whole.mass[:, 2:], memory.whole.mass[:, :2])  # adapted, and as at first
