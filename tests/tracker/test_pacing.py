"""Even strides on a simulated clock: a feed of 25 frames/s and steps of a given cost."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.tracker.pacing import Pacer

PERIOD_S = 0.04
HORIZON = 8


def follow(costs_s, frames: int = 60) -> list[int]:
    """The frame ids that a tracker takes whose i-th step costs `costs_s(i)`, windows of 8 frames."""
    pacer, now, taken = Pacer(), 0.0, []
    while len(taken) < frames:
        pacer.ready(now)
        newest = int(now / PERIOD_S + 1e-6)
        if pacer.early(now) or (taken and newest <= taken[-1]) or not pacer.wants(newest, int(newest * PERIOD_S * 1e9)):
            now += PERIOD_S / 10
            continue
        pacer.take(newest, int(newest * PERIOD_S * 1e9), now)
        now += costs_s(len(taken))
        taken.append(newest)
        if len(taken) % (HORIZON - 1) == 1 and len(taken) > 1:
            pacer.end_window()
    return taken


def gaps(taken: list[int]) -> list[list[int]]:
    """The gaps between the frames of each window."""
    windows = [taken[i : i + HORIZON] for i in range(0, len(taken) - HORIZON, HORIZON - 1)]
    return [np.diff(w).tolist() for w in windows]


def test_a_tracker_faster_than_its_feed_takes_every_frame():
    assert np.diff(follow(lambda i: 0.01)).max() == 1


def test_a_first_step_that_loads_libraries_costs_no_more_than_its_own_time():
    taken = follow(lambda i: 0.8 if i == 0 else 0.01)
    assert taken[1] <= 0.8 / PERIOD_S + 1
    assert np.diff(taken[1:]).max() == 1


@pytest.mark.parametrize("waiting", [1, 2])
def test_a_step_that_waits_for_the_first_masks_costs_no_more_than_its_own_time(waiting):
    taken = follow(lambda i: 1.0 if i == waiting else 0.01)
    assert np.diff(taken).max() <= 1.0 / PERIOD_S + 1
    assert sorted(np.diff(taken).tolist())[-2] == 1


def test_a_single_slow_step_does_not_thin_the_windows_that_follow():
    taken = follow(lambda i: 0.15 if i == 20 else 0.01)
    assert sorted(np.diff(taken).tolist())[-2:] == [1, 3]


def test_frames_inside_a_window_are_evenly_spaced_when_the_tracker_is_slow():
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.95, 1.05, 1000)
    spacing = gaps(follow(lambda i: 0.33 * noise[i]))
    assert all(len(set(g)) == 1 for g in spacing[1:]), spacing
    assert spacing[2][0] in (9, 10, 11)


def test_a_tracker_that_recovers_takes_every_frame_again():
    taken = follow(lambda i: 0.2 if i < 20 else 0.01)
    assert set(np.diff(taken[30:]).tolist()) == {1}


def test_a_slower_boundary_frame_does_not_break_the_spacing():
    spacing = gaps(follow(lambda i: 0.40 if i % 7 == 0 else 0.25))
    assert all(len(set(g)) == 1 for g in spacing[3:]), spacing


def test_a_count_that_begins_again_is_taken():
    pacer = Pacer()
    for i, at_s in ((495, 0.0), (496, 0.1), (500, 0.3)):  # steps of 4.3 periods
        pacer.take(i, int(i * PERIOD_S * 1e9), at_s)
        pacer.ready(at_s + 4.3 * PERIOD_S)
    assert pacer.stride == 5
    assert [pacer.wants(i, int(i * PERIOD_S * 1e9)) for i in (3, 502, 505)] == [True, False, True]


def test_a_window_lasts_as_long_as_the_masks_of_its_boundary_take():
    pacer = Pacer(HORIZON - 1)
    for i in range(8):
        pacer.ready(i * PERIOD_S)
        pacer.take(i, int(i * PERIOD_S * 1e9), i * PERIOD_S)
        pacer.ready(i * PERIOD_S + 0.001)
    pacer.masks_asked_for(7, now_s=1.0)
    pacer.masks_came(7, now_s=8.0)
    pacer.end_window()
    assert pacer.stride == 29  # 7 s over 7 steps of 40 ms, and the margin


def start(pacer: Pacer, times_s: list[float], step_s: float) -> list[int]:
    """The frame ids that are taken of a live feed whose i-th frame comes at times_s[i], with steps of `step_s`."""
    taken, free_s = [], 0.0
    for i, at_s in enumerate(times_s):
        now_s = max(at_s, free_s)
        if i + 1 < len(times_s) and times_s[i + 1] <= now_s:
            continue  # a newer one is there
        if not pacer.early(now_s) and pacer.wants(i, int(at_s * 1e9)):
            pacer.take(i, int(at_s * 1e9), now_s)
            free_s = now_s + step_s
            taken.append(i)
            if len(taken) % (HORIZON - 1) == 1 and len(taken) > 1:
                pacer.end_window()
            pacer.ready(free_s)
    return taken


@pytest.mark.parametrize("fps", [None, 5.0, 25.0, 1000.0])
def test_a_burst_on_connecting_leaves_no_second_without_a_frame(fps):
    burst = [0.004 * i for i in range(20)]
    times_s = burst + [burst[-1] + 0.2 * (i + 1) for i in range(40)]
    pacer = Pacer()
    pacer.period.state(fps)
    taken = start(pacer, times_s, step_s=0.01)
    assert max(np.diff([times_s[i] for i in taken])) < 0.45
    assert taken[-20:] == list(range(40, 60))


def test_a_stall_of_the_network_does_not_thin_the_windows_that_follow():
    times_s = [PERIOD_S * i for i in range(60)]
    times_s += [max(t, times_s[-1] + 1.5) + 0.001 * k for k, t in enumerate(PERIOD_S * i for i in range(60, 150))]
    taken = start(Pacer(), times_s, step_s=0.01)
    assert set(np.diff(taken[-40:]).tolist()) == {1}


def test_a_window_paced_by_one_very_slow_step_is_shortened_while_it_lasts():
    taken = follow(lambda i: 4.0 if i in (15, 17) else 0.5 if 15 < i < 22 else 0.01, frames=80)
    assert (np.diff(taken) > 50).sum() <= 4  # the two slow steps themselves, and two before it is noticed


@pytest.mark.parametrize("slow_s", [0.3, 0.5])
def test_one_step_in_seven_that_takes_many_times_as_long_leaves_a_gap_of_its_own_length_alone(slow_s):
    taken = follow(lambda i: slow_s if i % 7 == 3 else 0.05, frames=100)
    for spacing in gaps(taken)[3:]:
        assert sorted(spacing)[:-1] == [2] * 6
        assert max(spacing) <= slow_s / PERIOD_S + 1


def test_many_slow_steps_among_quick_ones_do_not_break_the_spacing():
    spacing = gaps(follow(lambda i: 0.3 if i % 7 in (1, 3, 5) else 0.05, frames=100))
    assert all(len(set(g)) == 1 for g in spacing[3:]), spacing
