"""Whose turn it is, under costs that a test states."""

from __future__ import annotations

from nodes.decoder.scheduling.turns import Candidate, Turns


def turns(object_ms: float = 10.0, budget_ms: float = 50.0) -> Turns:
    made = Turns(budget_ms)
    for _ in range(100):
        made.spent(0.0, object_ms, 1, 0)
    return made


def objects(n: int, uncertain=(), prompted=()) -> list[Candidate]:
    return [
        Candidate(i, "prompted" if i in prompted else "uncertain" if i in uncertain else "") for i in range(1, n + 1)
    ]


def longest_waits(made: Turns, frames: int, n: int, uncertain=()) -> dict[int, int]:
    """By object, the most frames from one turn to the next."""
    last, longest = dict.fromkeys(range(1, n + 1), 0), dict.fromkeys(range(1, n + 1), 0)
    for frame in range(1, frames + 1):
        for i in made.choose(objects(n, uncertain)):
            longest[i], last[i] = max(longest[i], frame - last[i]), frame
    return {i: max(longest[i], frames - last[i]) for i in last}


def test_all_are_decoded_while_all_can_be_paid_for():
    assert turns().choose(objects(5)) == {1, 2, 3, 4, 5}


def test_no_more_are_decoded_than_can_be_paid_for_and_each_has_its_turn():
    made = turns()
    assert len(made.choose(objects(50))) == 5
    assert max(longest_waits(turns(), 200, 50).values()) == 10


def test_one_object_is_decoded_whatever_it_costs():
    made = turns(object_ms=1000.0)
    assert len(made.choose(objects(50))) == 1
    assert max(longest_waits(turns(object_ms=1000.0), 200, 50).values()) == 50


def test_uncertain_objects_come_twice_as_often_but_never_take_more_than_half():
    waits = longest_waits(turns(budget_ms=40.0), 400, 40, uncertain=range(1, 5))
    assert max(waits[i] for i in range(1, 5)) <= 2
    assert max(waits.values()) <= 2 * 40 / 4
    waits = longest_waits(turns(budget_ms=40.0), 400, 40, uncertain=range(1, 40))
    assert max(waits.values()) <= 2 * 40 / 4


def test_with_a_single_place_uncertain_objects_have_every_other_frame():
    waits = longest_waits(turns(budget_ms=10.0), 400, 10, uncertain=[1])
    assert waits[1] <= 2
    assert max(waits.values()) <= 20


def test_prompted_objects_come_first_and_leave_a_place_to_the_others():
    made = turns()
    made.choose(objects(50))
    chosen = made.choose(objects(50, prompted=[48, 49, 50]))
    assert {48, 49, 50} < chosen


def test_many_prompts_at_once_are_shared_out_over_frames():
    made = turns()
    for _ in range(100):
        made.spent(0.0, 100.0, 0, 1)
    waiting, frames = set(range(1, 301)), 0
    while waiting:
        chosen = made.choose(objects(300, prompted=waiting))
        assert len(chosen & waiting) <= 3
        waiting -= chosen
        frames += 1
    assert frames == 100


def test_what_carrying_costs_is_left_over_for_decoding_only_down_to_a_share():
    made = turns(budget_ms=100.0)
    for _ in range(100):
        made.spent(30.0, 10.0, 1, 0)
    assert len(made.choose(objects(300))) == 7
    for _ in range(100):
        made.spent(500.0, 10.0, 1, 0)
    assert len(made.choose(objects(300))) == 4


def test_costs_are_measured_anew_when_the_machine_is_busy():
    made = turns(object_ms=10.0)
    for _ in range(20):
        chosen = made.choose(objects(50))
        made.spent(0.0, 50.0 * len(chosen), len(chosen), 0)  # five times as slow as before
    assert len(made.choose(objects(50))) == 1


def test_auto_leaves_few_objects_alone_whatever_the_rate_of_the_feed():
    made = Turns()
    made.measured_period(40.0)
    assert made.frame_ms == 100.0
    made.measured_period(500.0)
    assert made.frame_ms == 400.0


def test_an_object_that_is_gone_is_forgotten():
    made = turns()
    made.choose(objects(5))
    made.forget_others({1})
    assert set(made.last_turn) == {1}
