"""Which frames are decoded, on a clock that is only counted."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

import pytest

from nodes.decoder.scheduling.budget import Budget, Situation

PERIOD = 40.0
HORIZON = 7
QUEUE = 4  # messages that wait for a decoder; the oldest gives way


@dataclass
class Feed:
    """A decoder behind a live feed: every PERIOD ms a frame, every seventh of them a boundary."""

    encode_ms: float
    pass_ms: float
    carry_ms: float = 1.0
    objects: int = 1
    prompts: tuple[int, ...] = ()
    more: dict = field(default_factory=dict)

    def run(self, frames: int = 700):
        """(frame, kind, refinement passes or None where carried, age when it was published) of every frame answered."""
        self.budget = Budget(period_ms=PERIOD, **self.more)
        clock, arrived, last, queue, answers = 0.0, 0, -1, deque(maxlen=QUEUE), []
        while arrived < frames or queue:
            while arrived < frames and arrived * PERIOD <= clock:
                queue.append(arrived)
                arrived += 1
            if not queue:
                clock = arrived * PERIOD
                continue
            frame = queue.popleft()
            kind = "prompt" if frame in self.prompts else "boundary" if frame % HORIZON == 0 else ""
            age = clock - frame * PERIOD
            plan = self.budget.plan(Situation(kind, age, frame - last, self.objects, bool(queue)))
            last = frame
            if plan.decode:
                passes = 2 + plan.refinement_passes
                clock += self.encode_ms + passes * self.pass_ms
                self.budget.spent(self.encode_ms, passes * self.pass_ms, passes, self.objects)
            else:
                clock += self.carry_ms
            answers.append((frame, kind, plan.refinement_passes if plan.decode else None, clock - frame * PERIOD))
        return answers


def decoded(answers):
    return [a for a in answers if a[2] is not None]


def test_a_fast_decoder_decodes_every_frame_in_full():
    answers = Feed(10, 1).run()
    assert len(answers) == 700
    assert {a[2] for a in answers[1:]} == {12}


def test_passes_are_saved_before_frames():
    answers = Feed(14, 2).run()[20:]
    assert len(decoded(answers)) == len(answers) == 680
    assert {a[2] for a in answers} == {7}  # 14 + 9 * 2 = 32 ms: what a frame is worth
    assert max(a[3] for a in answers) <= PERIOD


def test_a_frame_that_can_not_be_paid_for_is_carried_and_decoded_ones_come_evenly():
    answers = Feed(60, 2).run()[70:]
    frames = [a[0] for a in decoded(answers) if a[1] == ""]
    assert len(answers) == 630  # none is lost
    assert 0.3 < len(decoded(answers)) / len(answers) < 0.5
    gaps = {b - a for a, b in itertools.pairwise(frames)}
    assert max(gaps) <= HORIZON
    assert min(a[2] for a in decoded(answers)) >= 3


@pytest.mark.parametrize("encode_ms", [60, 150, 200])
def test_the_age_of_the_masks_is_bounded_and_boundaries_are_decoded(encode_ms):
    answers = Feed(encode_ms, 2).run()[30:]
    assert max(a[3] for a in answers) <= 2 * (encode_ms + 14 * 2)
    assert all(a[2] is not None for a in answers if a[1] == "boundary")
    assert sum(a[1] == "boundary" for a in answers) == len({a[0] // HORIZON for a in answers} - {4})


def test_a_decoder_slower_than_the_horizon_stays_as_young_as_one_decode_allows():
    answers = Feed(2_000, 20, more={"max_age_ms": 300.0}).run(3000)[10:]
    assert max(a[3] for a in answers) <= 2_000 + 14 * 20 + 300 + 2 * PERIOD
    assert len(decoded(answers)) >= 3000 * PERIOD / 2_280 * 0.8  # and it is hardly ever idle
    assert {a[1] for a in decoded(answers)} >= {"boundary"}


def test_passes_that_cost_little_beside_the_encoder_are_never_saved():
    answers = Feed(2_000, 10).run(500)
    assert {a[2] for a in decoded(answers)} == {12}


def test_a_prompt_is_decoded_however_late_and_dear_it_is():
    feed = Feed(500, 20, prompts=tuple(range(3, 700, 31)))
    answers = feed.run()
    assert all(a[2] is not None for a in answers if a[1] == "prompt")


def test_a_finished_clip_is_decoded_in_full_whatever_it_costs():
    budget = Budget(period_ms=0)
    for _ in range(20):
        plan = budget.plan(Situation("", 1e6, 1, 5, True))
        assert (plan.decode, plan.refinement_passes) == (True, 12)
        budget.spent(15_000, 1_400, 14, 5)


def test_a_budget_of_ones_own_replaces_that_of_the_feed():
    dear = Feed(60, 2, more={"budget_ms": 90.0}).run()[10:]
    assert {a[2] for a in decoded(dear)} == {12}
    assert len(decoded(Feed(10, 1, more={"budget_ms": 5.0}).run())) < 350


def test_more_objects_are_reckoned_to_cost_more_until_they_have_been_measured():
    budget = Budget(period_ms=PERIOD)
    budget.spent(10, 14, 14, 1)
    assert budget.cost_ms(12, 5) == pytest.approx(10 + 14 * 5)
    budget.spent(10, 28, 14, 5)
    assert budget.cost_ms(12, 5) == pytest.approx(10 + 14 * 2)
    assert budget.cost_ms(12, 1) == pytest.approx(10 + 14)


def test_without_objects_nothing_is_decoded_unless_one_is_asked_for():
    budget = Budget(period_ms=PERIOD)
    assert not budget.plan(Situation("", 0, 1, 0, False)).decode
    assert budget.plan(Situation("prompt", 0, 1, 1, False)).decode
