"""Many objects at once share the work: slower, never wrong."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.lite.backend import REFIT_INTERVAL, Lite
from nodes.decoder.scheduling.turns import Turns
from nodes.decoder.segmentation import Segmenter
from nodes.decoder.turn_taking import TurnTaking
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


@pytest.mark.slow
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


class FewPlaces(Turns):
    """So many objects a frame, whatever they cost."""

    def __init__(self, places: int) -> None:
        super().__init__(10.0 * places)
        self.object_ms, self.prompt_ms = 10.0, 1.0

    def spent(self, fixed_ms, decode_ms, objects, prompted): ...


def test_a_crowd_whose_objects_take_turns_is_followed_to_the_end_and_shares_no_pixel(crowd):
    lite = Lite()
    taking = TurnTaking(Segmenter(lite), lite, FewPlaces(4))
    decoded: set[int] = set()
    for i, message in enumerate(decoder_inputs(crowd, 20)):
        [masks] = [m for m in taking.step(message) if isinstance(m, Masks)]
        assert len(masks.objects) == 20
        assert np.sum([uncrop_mask(o.bbox, o.mask, SIZE) > 0 for o in masks.objects], axis=0).max() == 1
        if 0 < i <= 5:
            assert sum(o.origin == "decoded" for o in masks.objects) == 4
            decoded |= {o.object_id for o in masks.objects if o.origin == "decoded"}
    assert decoded == set(range(1, 21))
    assert count_followed(masks, crowd.labels[-1]) == 20


def test_an_object_that_waits_moves_along_with_the_picture(crowd):
    lite = Lite()
    inputs = list(decoder_inputs(crowd, 20))
    Segmenter(lite).step(inputs[0])
    began = {i: m.points.mean(axis=0) for i, m in lite.memories.items()}

    def middle(frame: int, object_id: int) -> np.ndarray:
        return np.argwhere(crowd.labels[frame] == object_id).mean(axis=0)[::-1]

    for message in inputs[1:6]:
        analysis = lite.encode(message.frame.rgb)
        lite.carry(analysis, list(lite.memories), {}, False)
        lite.decode(analysis, [])
        lite.learn(analysis, {})
    errors = [
        np.linalg.norm(memory.points.mean(axis=0) - began[i] - (middle(5, i) - middle(0, i)))
        for i, memory in lite.memories.items()
    ]
    assert np.median(errors) < 1.5, errors
    assert all(m.absent_frames == 0 and m.carried_frames == 5 for m in lite.memories.values())


def test_a_wait_survives_another_frame_size(crowd):
    lite = Lite()
    first, second, *_ = decoder_inputs(crowd, 3)
    Segmenter(lite).step(first)
    analysis = lite.encode(second.frame.rgb)
    lite.carry(analysis, list(lite.memories), {}, False)
    before = {i: m.points.mean(axis=0) for i, m in lite.memories.items()}
    lite.resize(SIZE, (2 * SIZE[0], 2 * SIZE[1]))
    for object_id, memory in lite.memories.items():
        assert np.abs(memory.points.mean(axis=0) - (2 * before[object_id] + 0.5)).max() < 2


def test_a_body_of_like_looks_that_touches_an_object_is_not_taken_for_a_part_of_it():
    crowd, segmenter, scores = draw_crowd((480, 854), 40), Segmenter(Lite()), []
    for message, labels in zip(decoder_inputs(crowd, 1), crowd.labels, strict=True):
        [o] = segmenter.step(message)[0].objects
        mask, true = uncrop_mask(o.bbox, o.mask, labels.shape) > 0, labels == 1
        scores.append((mask & true).sum() / (mask | true).sum())
    assert min(scores) > 0.7
    assert scores[-1] > 0.9


def test_target_models_are_fitted_a_few_on_each_frame_and_all_in_turn(crowd):
    lite = Lite()
    segmenter = Segmenter(lite)
    for i, message in enumerate(decoder_inputs(crowd, 8)):
        segmenter.step(message)
        fitted = [memory.fitted_age == memory.age for memory in lite.memories.values()]
        if i:
            assert sum(fitted) <= 2
    assert all(memory.age - memory.fitted_age <= 2 * REFIT_INTERVAL for memory in lite.memories.values())
