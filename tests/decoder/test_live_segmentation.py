"""A feed answered at once by a model that is slower than it: jobs finish when the test says so."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.live_feed import SIZE, add, left_of, live, masks, seeds, tracks, xy_at

from stream.crops import uncrop_mask
from stream.messages import Prompt


def test_every_frame_is_answered_while_the_model_is_at_work():
    d = live()
    answers = [masks(d.step(tracks(0, 1, prompts=[add()])))]
    answers += [masks(d.step(tracks(i, 1))) for i in range(1, 6)]
    assert [m.stamp.frame_id for m in answers] == list(range(6))
    assert {m.objects[0].origin for m in answers} == {"propagated"}
    assert {m.objects[0].state for m in answers} == {"uncertain"}  # nobody has seen its mask yet
    assert d.model.encoded == [0]


def test_masks_that_come_late_are_carried_to_the_newest_frame():
    d = live()
    for i in range(4):
        d.step(tracks(i, 1, prompts=[add()] if i == 0 else []))
    d.worker.finish()
    answer = masks(d.step(tracks(4, 1)))
    assert left_of(answer) == 20 + 4  # decoded at 20 on frame 0
    assert answer.objects[0].state == "tracked"
    assert answer.objects[0].origin == "propagated"
    assert answer.objects[0].area == 100


def test_the_seeds_of_a_late_boundary_name_its_own_frame():
    d = live()
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    assert [s.frame_id for s in d.collect()] == [0]
    d.step(tracks(7, 1, ended=[1]))
    for i in range(8, 12):
        assert not seeds(d.step(tracks(i, 1)))
    d.worker.finish()
    [late] = seeds(d.step(tracks(12, 1)))
    assert late.frame_id == 7
    assert late.objects[0].bbox[0] == 20 + 7


def test_points_drawn_on_the_decoded_frame_carry_its_mask():
    d = live()
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    list(d.collect())
    answer = masks(d.step(tracks(6, 1, points_id=2, drawn_id=0, drawn_xy=xy_at(0))))
    assert left_of(answer) == 20 + 6


def test_a_boundary_waits_for_the_model_and_only_the_newest_does():
    d = live()
    d.step(tracks(0, 1, prompts=[add()]))
    for i in (7, 14, 21):
        d.step(tracks(i, 1, ended=[1]))
    assert len(d.waiting) == 1
    d.worker.finish()
    list(d.collect())
    assert d.model.encoded == [0, 21]


def test_no_prompt_is_ever_left_out():
    d = live()
    for i in range(3):
        d.step(tracks(i, *range(1, i + 2), prompts=[add(i + 1)]))
    d.step(tracks(7, 1, 2, 3, ended=[1, 2, 3]))
    answered = []
    for _ in range(4):
        d.worker.finish()
        answered += [o.object_id for s in d.collect() for o in s.objects]
    assert d.model.encoded == [0, 1, 2, 7]
    assert {1, 2, 3} <= set(answered)


def test_a_model_that_keeps_up_is_waited_for():
    d = live(tick_ms=2.0)
    d.worker.quick = True
    answers = [masks(d.step(tracks(i, 1, prompts=[add()] if i == 0 else []))) for i in range(10)]
    assert {m.objects[0].origin for m in answers} == {"decoded"}
    assert [left_of(m) for m in answers] == [20 + i for i in range(10)]


def test_a_slow_model_is_never_waited_for_once_its_cost_is_measured():
    d = live(tick_ms=500.0)
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    list(d.collect())
    d.worker.waits.clear()
    for i in range(1, 30):
        d.step(tracks(i, 1, ended=[1] if i % 7 == 0 else []))
        d.worker.finish()
    assert max(d.worker.waits) == 0


def test_a_mask_that_the_user_gives_is_shown_before_the_model_has_seen_it():
    d = live()
    given = np.zeros(SIZE, np.uint8)
    given[10:20, 10:30] = 1
    answer = masks(d.step(tracks(0, 1, prompts=[Prompt(object_id=1, mask=given)])))
    o = answer.objects[0]
    np.testing.assert_array_equal(uncrop_mask(o.bbox, o.mask, SIZE), given)


def test_a_model_without_an_answer_is_counted_and_its_prompts_are_obeyed_later():
    d = live()
    d.model.broken = True
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    d.model.broken = False
    assert [s.objects for s in d.collect()] == [()]
    assert d.segmenter.failed == 1
    d.step(tracks(7, 1, ended=[1]))
    d.worker.finish()
    [answer] = d.collect()
    assert answer.objects[0].object_id == 1


def test_a_removed_object_does_not_come_back_with_a_late_answer():
    d = live()
    d.step(tracks(0, 1, 2, prompts=[add(1), add(2)]))
    d.step(tracks(1, 2))
    d.worker.finish()
    answer = d.step(tracks(2, 2))
    assert [o.object_id for o in masks(answer).objects] == [2]
    assert [o.object_id for s in seeds(answer) for o in s.objects] == [2]


def test_an_answer_for_another_frame_size_is_not_shown():
    d = live()
    d.step(tracks(0, 1, prompts=[add()]))
    d.step(tracks(1, 1, size=(120, 160)))
    d.worker.finish()
    answer = d.step(tracks(2, 1, size=(120, 160)))
    assert masks(answer).objects[0].area == 0
    assert masks(answer).size == (120, 160)


@pytest.mark.parametrize("frames", [200])
def test_what_waits_is_bounded_on_a_long_feed(frames):
    d = live()
    for i in range(frames):
        d.step(tracks(i, 1, ended=[1] if i % 7 == 6 else [], prompts=[add()] if i == 0 else []))
    assert len(d.waiting) <= 2
    assert len(d.propagator.objects) <= 1


def test_a_frame_is_decoded_with_the_passes_that_it_can_pay_for():
    d = live(tick_ms=300.0)
    d.step(tracks(0, 1, prompts=[add()]))
    for i in range(1, 30):
        d.worker.finish()
        d.step(tracks(i, 1, ended=[1] if i % 7 == 0 else []))
    assert d.model.refinement_passes[0] == 12  # nothing has been measured yet
    assert d.model.refinement_passes[-1] == d.refinement_passes == 3


def test_a_prompt_whose_object_is_gone_already_costs_no_passes_and_the_feed_goes_on():
    d = live(tick_ms=300.0)
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    d.step(tracks(1, prompts=[add()]))
    d.worker.finish()
    assert masks(d.step(tracks(2, 1, prompts=[add()]))).objects
    assert 0 not in d.budget.pass_ms


def test_more_objects_than_a_decode_may_cost_take_turns():
    d = live(tick_ms=40.0)
    ids = (1, 2, 3)
    d.worker.quick = True
    d.step(tracks(0, *ids, prompts=[add(i) for i in ids]))
    d.worker.finish()
    list(d.collect())
    d.turns.object_ms = d._turn_ms  # one place
    seen: set[int] = set()
    for i in range(7, 7 + 5 * 7, 7):
        d.step(tracks(i, *ids, ended=ids))
        d.worker.finish()
        seen |= {o.object_id for s in d.collect() for o in s.objects}
        d.turns.object_ms = d._turn_ms
    assert seen == set(ids)
