"""Who is served next, with whom, and who is answered at once: the rules, one by one."""

from __future__ import annotations

import math

import pytest

from stream.scheduling.requests import Declined, Request, Urgency
from stream.scheduling.scheduler import HOPELESS, TRY_AGAIN, Scheduler

ALONE = (0.0, 0.010)  # batches save nothing
SHARED = (0.010, 0.001)  # they save nearly all


def scheduler(**costs: tuple[float, float]) -> Scheduler:
    return Scheduler(costs or {"encode": ALONE})


def ask(camera: str, deadline_s: float = 1.0, urgency: Urgency = Urgency.FRAME, **more) -> Request:
    return Request(camera, **{"group": "encode", **more}, urgency=urgency, deadline_s=deadline_s)


def serve(core: Scheduler, now_s: float, took_s: float | None = None) -> list[str]:
    """The cameras of the next batch, which is done after a time."""
    batch, _ = core.next_batch(now_s)
    if batch is None:
        return []
    core.finish(batch, now_s + (took_s or batch.estimated_s))
    return [request.camera for request in batch.requests]


def test_nobody_asks_and_nothing_is_served():
    assert scheduler().next_batch(0.0) == (None, [])


def test_one_batch_is_in_work_at_a_time():
    core = scheduler()
    core.submit(ask("a"), 0.0)
    core.submit(ask("b"), 0.0)
    batch, _ = core.next_batch(0.0)
    assert batch is not None
    assert core.next_batch(0.0) == (None, [])
    core.finish(batch, 0.01)
    assert core.next_batch(0.01)[0] is not None


def test_prompts_come_before_boundaries_before_the_rest():
    core = scheduler()
    for camera, urgency in (("a", Urgency.FRAME), ("b", Urgency.BOUNDARY), ("c", Urgency.PROMPT)):
        core.submit(ask(camera, urgency=urgency), 0.0)
    assert [serve(core, 0.01 * i) for i in range(3)] == [["c"], ["b"], ["a"]]


def test_inside_a_class_the_earliest_deadline_comes_first():
    core = scheduler()
    for camera, deadline_s in (("a", 0.9), ("b", 0.5), ("c", 0.7)):
        core.submit(ask(camera, deadline_s), 0.0)
    assert [serve(core, 0.01 * i) for i in range(3)] == [["b"], ["c"], ["a"]]


def test_a_camera_that_has_used_more_waits_for_the_others_whatever_its_deadline():
    core = scheduler()
    core.submit(ask("hog", units=20), 0.0)
    assert serve(core, 0.0, 0.2) == ["hog"]
    core.submit(ask("hog", 0.5, units=20), 0.2)
    core.submit(ask("a", 0.9), 0.2)
    core.submit(ask("b", 0.9), 0.2)
    assert [serve(core, 0.2 + 0.01 * i) for i in range(3)] == [["a"], ["b"], ["hog"]]


def test_turns_go_by_cost_and_not_by_requests():
    core = scheduler()
    used = {"light": 0, "heavy": 0}
    for i in range(400):
        now_s = 0.1 * i
        core.submit(ask("light", now_s + 1, units=1), now_s)
        core.submit(ask("heavy", now_s + 1, units=4), now_s)
        for camera in serve(core, now_s):
            used[camera] += 1
    assert used["light"] / used["heavy"] == pytest.approx(4, rel=0.1)


def test_prompts_overdraw_to_a_limit_so_that_a_flood_of_them_does_not_stop_the_others():
    core = scheduler()
    served = []
    for i in range(100):
        now_s = 0.01 * i
        core.submit(ask("flood", now_s + 1, Urgency.PROMPT), now_s)
        core.submit(ask("quiet", now_s + 1), now_s)
        served += serve(core, now_s)
    assert served[0] == "flood"
    assert served.count("quiet") > 35


def test_the_newest_request_of_a_camera_replaces_the_one_that_waits():
    core = scheduler()
    old, new = ask("a"), ask("a")
    assert core.submit(old, 0.0) == []
    assert core.submit(new, 0.1) == [Declined(old, "replaced")]
    assert core.waiting == 1
    batch, _ = core.next_batch(0.1)
    assert batch.requests == (new,)


def test_a_waiting_prompt_is_not_replaced_by_a_frame():
    core = scheduler()
    prompt, frame = ask("a", urgency=Urgency.PROMPT), ask("a")
    core.submit(prompt, 0.0)
    assert core.submit(frame, 0.1) == [Declined(frame, "replaced")]
    assert core.next_batch(0.1)[0].requests == (prompt,)


def test_a_camera_has_one_request_in_work_and_one_that_waits():
    core = scheduler()
    core.submit(ask("a"), 0.0)
    core.next_batch(0.0)
    for i in range(5):
        core.submit(ask("a"), 0.001 * i)
    assert (core.in_work is not None, core.waiting) == (True, 1)
    assert core.figures.cameras["a"].replaced == 4


def test_a_request_that_waits_is_withdrawn_for_a_newer_frame_unless_it_has_to_be_served():
    core = scheduler()
    frame, prompt = ask("a"), ask("b", urgency=Urgency.PROMPT)
    core.submit(frame, 0.0)
    core.submit(prompt, 0.0)
    assert core.withdraw(frame.slot) == [Declined(frame, "replaced")]
    assert core.withdraw(frame.slot) == core.withdraw(prompt.slot) == []
    assert serve(core, 0.0) == ["b"]


def test_the_tracker_and_the_decoder_of_a_camera_wait_side_by_side():
    core = scheduler()
    core.submit(ask("a", stage="tracker"), 0.0)
    core.submit(ask("a", stage="decoder"), 0.0)
    assert core.waiting == 2


def test_requests_of_a_group_are_served_together_where_that_saves_time():
    core = scheduler(encode=SHARED)
    for camera in "abcd":
        core.submit(ask(camera), 0.0)
    assert sorted(serve(core, 0.0)) == list("abcd")
    assert core.figures.device().batch_occupancy == 4


def test_they_are_served_alone_where_it_saves_nothing():
    core = scheduler(encode=ALONE)
    for camera in "abcd":
        core.submit(ask(camera), 0.0)
    assert [serve(core, 0.01 * i) for i in range(4)] == [["a"], ["b"], ["c"], ["d"]]


def test_other_groups_are_not_in_the_batch():
    core = scheduler(encode=SHARED, other=SHARED)
    core.submit(ask("a"), 0.0)
    core.submit(ask("b", group="other"), 0.0)
    core.submit(ask("c"), 0.0)
    assert serve(core, 0.0) == ["a", "c"]


def test_a_batch_ends_before_the_earliest_deadline_of_its_members():
    core = scheduler(encode=(0.010, 0.010))
    core.submit(ask("a", 0.045), 0.0)  # 10 + 10 b ms: three at most
    for camera in "bcdef":
        core.submit(ask(camera, 1.0), 0.0)
    assert serve(core, 0.0) == ["a", "b", "c"]


def test_a_request_whose_deadline_is_too_near_does_not_join():
    core = scheduler(encode=(0.010, 0.010))
    core.submit(ask("a", 1.0, Urgency.BOUNDARY), 0.0)
    core.submit(ask("near", 0.025), 0.0)  # alone it would take 20 ms, together 30
    core.submit(ask("far", 0.9), 0.0)
    assert serve(core, 0.0) == ["a", "far"]


def test_a_batch_does_not_make_a_request_of_another_group_late():
    core = scheduler(encode=(0.010, 0.010), other=(0.0, 0.010))
    core.submit(ask("a", 0.5, Urgency.BOUNDARY), 0.0)
    for camera in "bcde":
        core.submit(ask(camera, 1.0), 0.0)
    core.submit(ask("other", 0.041, group="other"), 0.0)  # has to begin within 31 ms
    assert serve(core, 0.0, 0.03) == ["a", "b"]
    assert serve(core, 0.03) == ["other"]


def test_what_is_late_anyway_does_not_keep_a_batch_small():
    core = scheduler(encode=SHARED)
    for camera in "abcd":
        core.submit(ask(camera, -1.0, must_serve=True), 0.0)
    assert len(serve(core, 0.0)) == 4


def test_a_batch_holds_no_more_units_than_fit():
    core = Scheduler({"encode": SHARED}, {"encode": 10})
    for camera in "abcd":
        core.submit(ask(camera, units=4), 0.0)
    assert len(serve(core, 0.0)) == 2


def test_a_camera_in_debt_does_not_make_a_batch_twice_as_long():
    core = scheduler(encode=(0.010, 0.001))
    core.submit(ask("hog", units=100), 0.0)
    serve(core, 0.0, 0.11)
    for camera in ("a", "b"):
        core.submit(ask(camera, 2.0), 0.2)
    core.submit(ask("hog", 2.0, units=100), 0.2)
    assert serve(core, 0.2) == ["a", "b"]


def test_whether_a_batch_pays_is_found_out_with_two():
    core = scheduler(other=ALONE)
    sizes = []
    for i in range(20):
        now_s = 0.1 * i
        for camera in "abcd":
            core.submit(ask(camera, now_s + 10), now_s)
        batch, _ = core.next_batch(now_s)
        core.finish(batch, now_s + 0.010 * batch.units)
        sizes.append(batch.units)
    assert sizes == [1] * 3 + [2] * 3 + [1] * 14


def test_a_batch_that_did_not_pay_is_tried_again_later():
    core = scheduler(encode=ALONE)
    sizes = []
    for i in range(TRY_AGAIN + 5):
        now_s = 0.1 * i
        for camera in "ab":
            core.submit(ask(camera, now_s + 10), now_s)
        batch, _ = core.next_batch(now_s)
        core.finish(batch, now_s + 0.010 * batch.units)
        sizes.append(batch.units)
    assert sizes.count(2) == 1
    assert sizes.index(2) == TRY_AGAIN


def test_a_request_that_cannot_meet_its_deadline_is_answered_at_once():
    core = scheduler()
    request = ask("a", 0.005)
    assert core.submit(request, 0.0) == [Declined(request, "late")]
    assert core.waiting == 0
    assert core.figures.cameras["a"].late == 1


def test_so_is_one_that_the_batch_in_work_makes_late():
    core = scheduler()
    core.submit(ask("hog", 9.0, units=10), 0.0)
    core.next_batch(0.0)  # until 0.1
    request = ask("a", 0.105)
    assert core.submit(request, 0.05) == [Declined(request, "late")]


def test_and_one_that_becomes_late_while_it_waits():
    core = scheduler()
    first, second = ask("a", 0.012), ask("b", 0.015)
    core.submit(first, 0.0)
    core.submit(second, 0.0)
    batch, declined = core.next_batch(0.0)
    assert batch.requests == (first,)
    assert declined == [Declined(second, "late")]


def test_what_its_frame_takes_afterwards_counts_as_well():
    core = scheduler()
    assert core.submit(ask("a", 0.1, rest_s=0.05), 0.0) == []
    late = ask("b", 0.1, rest_s=0.095)
    assert core.submit(late, 0.0) == [Declined(late, "late")]


@pytest.mark.parametrize("more", [{"urgency": Urgency.PROMPT}, {"must_serve": True}, {"continues": True}])
def test_prompts_and_frames_that_have_begun_are_served_late_rather_than_not_at_all(more):
    core = scheduler()
    assert core.submit(ask("a", 0.005, **more), 1.0) == []
    assert serve(core, 1.0) == ["a"]
    assert core.figures.cameras["a"].misses == 1


def test_nothing_is_late_on_a_finished_clip():
    core = scheduler()
    core.submit(ask("a", math.inf), 1e9)
    assert serve(core, 1e9) == ["a"]


def test_a_frame_that_has_begun_is_finished_before_another_begins():
    core = scheduler(encode=ALONE, decode=ALONE)
    core.submit(ask("a", 1.0), 0.0)
    core.submit(ask("b", 1.1), 0.0)
    assert serve(core, 0.0) == ["a"]
    core.submit(ask("a", 1.0, group="decode", continues=True), 0.01)
    assert serve(core, 0.01) == ["a"]
    assert serve(core, 0.02) == ["b"]


def test_a_long_frame_is_interrupted_by_cameras_that_are_owed_a_turn():
    core = scheduler(encode=ALONE)
    now_s, order = 0.0, []
    for _ in range(6):  # what frames typically cost
        for camera in "abc":
            core.submit(ask(camera, now_s + 1), now_s)
            serve(core, now_s)
            now_s += 0.01
    core.submit(ask("hog", now_s + 1, units=10), now_s)
    serve(core, now_s, 0.1)
    for _ in range(4):
        now_s += 0.1
        core.submit(ask("hog", now_s - 1, units=10, continues=True), now_s)
        core.submit(ask("a", now_s + 1), now_s)
        order += serve(core, now_s)
    assert "a" in order[:2]


def test_a_camera_whose_frames_always_come_too_late_is_served_all_the_same():
    core = scheduler()
    served = 0
    for i in range(50):
        now_s = 0.1 * i
        core.submit(ask("far away", now_s - 0.2), now_s)
        served += len(serve(core, now_s))
    assert served == 50 - HOPELESS
    assert core.figures.cameras["far away"].misses == served


def test_a_single_late_frame_is_not_served():
    core = scheduler()
    for i in range(20):
        now_s = 0.1 * i
        core.submit(ask("a", now_s - 0.2 if i % 5 == 4 else now_s + 0.2), now_s)
        serve(core, now_s)
    assert core.figures.cameras["a"].late == 4
    assert core.figures.cameras["a"].misses == 0


def test_a_model_that_takes_longer_than_the_budget_serves_all_cameras_in_turn():
    core = scheduler(encode=(0.0, 8.0))
    served: list[str] = []
    now_s, free_s, batch = 0.0, 0.0, None
    while now_s < 400:
        if batch is not None and now_s >= free_s:
            core.finish(batch, now_s)
            batch = None
        for camera in "abcd":
            core.submit(ask(camera, now_s + 0.5), now_s)
        if batch is None:
            batch, _ = core.next_batch(now_s)
            if batch is not None:
                served += [request.camera for request in batch.requests]
                free_s = now_s + 8.0
        now_s += 0.1
    counts = [served.count(camera) for camera in "abcd"]
    assert min(counts) >= 11
    assert max(counts) - min(counts) <= 1


def test_a_camera_that_goes_away_leaves_nothing_behind():
    core = scheduler()
    request = ask("a")
    core.submit(request, 0.0)
    core.submit(ask("b"), 0.0)
    assert core.forget("a") == [Declined(request, "forgotten")]
    assert serve(core, 0.0) == ["b"]
    core.submit(ask("b", 2.0), 0.1)
    batch, _ = core.next_batch(0.1)
    core.forget("b")
    core.finish(batch, 0.2)
    assert (core.waiting, len(core.shares), core.figures.cameras) == (0, 0, {})
    assert core.figures.gone.frames == 3


def test_a_batch_that_failed_says_nothing_of_its_cost():
    core = scheduler()
    core.submit(ask("a", 9.0), 0.0)
    batch, _ = core.next_batch(0.0)
    core.finish(batch, 5.0, failed=True)
    assert core.cost("encode").estimate_s(1) == pytest.approx(0.010)
    assert (core.figures.cameras["a"].failed, core.figures.cameras["a"].served) == (1, 0)


def test_a_pause_of_the_machine_is_not_charged_to_the_camera():
    core = scheduler()
    for i in range(9):
        core.submit(ask("a", 9.0 + i), i)
        serve(core, i)
    credit_s = core.shares.credit_s("a")
    core.submit(ask("a", 99.0), 20.0)
    serve(core, 20.0, took_s=5.0)
    assert core.shares.credit_s("a") >= credit_s - 0.02
