"""A finished clip as the paper segments it: boundary frames twice, masks shown and seeded from as they are."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.scripted_model import SIZE, ScriptedModel, box, request, tracks

from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.errors import ModelError
from stream.settings.options import SegmenterOptions

WHOLE = (0, 0, SIZE[1], SIZE[0])


def states(segmenter, ids, **options):
    return [segmenter.step(tracks(i, 1, **options))[0].objects[0] for i in ids]


def again(i, *ids, prompts=()):
    """The Tracks that follow a request, with the points drawn from its Seeds: nobody waits for Seeds any more."""
    return tracks(i, *ids, boundary=True, prompts=prompts, seeds_for=())


def test_a_request_gives_seeds_and_its_frame_then_gives_masks_and_no_seeds():
    segmenter = Segmenter(ScriptedModel())
    seeds = segmenter.reinit(request(7, 1))
    assert [s.object_id for s in seeds.objects] == [1]
    assert segmenter.decoded == 0
    masks, seeds = segmenter.step(again(7, 1))
    assert (masks.boundary, masks.passed_over, seeds) == (True, 0, None)
    assert segmenter.decoded == 1


def test_the_mask_of_a_request_does_not_count_in_the_state():
    segmenter = Segmenter(ScriptedModel(), SegmenterOptions(lost_after_frames=3))
    segmenter.model.boxes = {}
    last = states(segmenter, range(2))[-1]
    segmenter.reinit(request(2, 1))
    assert last.state == "uncertain"
    assert segmenter.step(again(2, 1))[0].objects[0].state == "lost"


def test_a_prompt_on_a_boundary_is_obeyed_twice_and_its_object_is_begun_once():
    model = ScriptedModel()
    segmenter = Segmenter(model)
    segmenter.step(tracks(0, 1, prompts=[box()]))
    forgotten = len(model.forgotten)
    segmenter.reinit(request(7, 1, prompts=[box()]))
    assert model.queries[0].prompt is not None
    _, seeds = segmenter.step(again(7, 1, prompts=[box()]))
    assert model.queries[0].prompt is not None
    assert seeds is None
    assert len(model.forgotten) == forgotten + 1


def test_a_request_without_an_answer_is_no_failed_frame_and_its_prompts_are_obeyed_on_the_frame_itself():
    model = ScriptedModel()
    segmenter = Segmenter(model)
    encode, model.encode = model.encode, no_answer
    assert segmenter.reinit(request(7, 1, prompts=[box()])).objects == ()
    assert segmenter.failed == 0
    model.encode = encode
    masks, seeds = segmenter.step(again(7, 1, prompts=[box()]))
    assert model.queries[0].prompt is not None
    assert (len(masks.objects), seeds) == (1, None)


def no_answer(rgb):
    raise ModelError("out of memory")


def test_points_are_drawn_from_an_objects_own_mask_where_the_paper_is_followed():
    boxes = {1: (0, 0, 30, 30), 2: (10, 10, 30, 30)}
    for own, area in ((True, 900), (False, 500)):
        masks, seeds = Segmenter(ScriptedModel(boxes, own_seeds=own)).step(tracks(7, 1, 2, boundary=True))
        assert masks.objects[0].area == 500  # what is shown is exclusive
        first = uncrop_mask(seeds.objects[0].bbox, seeds.objects[0].mask, SIZE)
        assert np.count_nonzero(first) == area


UNCHECKED = SegmenterOptions(check_masks=False)


@pytest.mark.parametrize("window", [WHOLE, (5, 5, 3, 3)], ids=["all of the frame", "a few px"])
def test_unchecked_masks_are_shown_and_draw_points_but_are_never_called_tracked(window):
    segmenter = Segmenter(ScriptedModel({1: window}, points_contradict=True), UNCHECKED)
    masks, seeds = segmenter.step(tracks(7, 1, boundary=True))
    assert (masks.objects[0].area, masks.objects[0].state) == (window[2] * window[3], "uncertain")
    assert seeds.objects[0].bbox == window
    checked, none = Segmenter(ScriptedModel({1: window}, points_contradict=True)).step(tracks(7, 1, boundary=True))
    assert (checked.objects[0].area, none.objects) == (0, ())


def test_unchecked_growth_draws_points():
    for check, ids in ((False, [1]), (True, [])):
        model = ScriptedModel({1: (18, 18, 10, 10)}, points_contradict=True)
        segmenter = Segmenter(model, SegmenterOptions(check_masks=check))
        segmenter.step(tracks(0, 1, prompts=[box()]))
        model.boxes = {1: (10, 10, 40, 40)}
        _, seeds = segmenter.step(tracks(7, 1, boundary=True))
        assert [s.object_id for s in seeds.objects] == ids


def test_an_unchecked_object_is_lost_while_its_mask_is_empty_and_any_mask_brings_it_back():
    segmenter = Segmenter(ScriptedModel(), SegmenterOptions(lost_after_frames=2, check_masks=False))
    states(segmenter, [0])
    segmenter.model.boxes = {}
    assert [o.state for o in states(segmenter, range(1, 4))] == ["uncertain", "lost", "lost"]
    _, seeds = segmenter.step(tracks(4, 1, boundary=True))
    assert seeds.objects == ()  # the old points stay
    segmenter.model.boxes = {1: WHOLE}
    back = states(segmenter, [5])[0]
    assert (back.state, back.area) == ("reacquired", WHOLE[2] * WHOLE[3])
