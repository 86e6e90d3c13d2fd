"""The state table of `evaluate.py vos`: how far states and scores can be trusted."""

from __future__ import annotations

import pytest

from tools.evaluation.state_table import Judgement, reacquisitions, state_lines, state_table


def judged(*frames: tuple) -> list[Judgement]:
    """A judgement for each (state, J), or (state, J, in sight); every score is J."""
    return [Judgement(state, j, j, sight[0] if sight else True) for state, j, *sight in frames]


def test_shares_are_of_the_frames_of_each_state():
    table = state_table([judged(("tracked", 0.9), ("tracked", 0.4), ("tracked", 0.2)), judged(("tracked", 0.8))])
    assert table["tracked"] == {"frames": 4, "J_below_0.5": 50, "J_below_0.3": 25}
    assert table["uncertain"] == {"frames": 0, "J_below_0.5": None, "J_below_0.3": None}


def test_a_lost_object_may_be_in_sight():
    table = state_table([judged(("lost", 0, True), ("lost", 1, False), ("lost", 1, False), ("lost", 1, False))])
    assert table["lost"] == {"frames": 4, "in_sight": 25}


def test_a_reacquisition_is_judged_once_with_the_frames_that_it_was_late():
    one = judged(
        *[("lost", 1, False)] * 3,
        *[("lost", 0)] * 2,
        ("reacquired", 0.8),
        ("reacquired", 0.1),
        ("lost", 0),
        ("reacquired", 0),
    )
    assert list(reacquisitions(one)) == [(0.8, 2), (0, 1)]
    found = state_table([one])["reacquisitions"]
    assert found == {"times": 2, "wrong": 50, "median_frames_in_sight_before": 1.5}


def test_an_object_of_which_a_part_is_shown_is_not_found_yet():
    assert list(reacquisitions(judged(("lost", 0), ("uncertain", 0.2), ("uncertain", 0.3), ("reacquired", 0.9)))) == [
        (0.9, 3)
    ]
    assert list(reacquisitions(judged(("lost", 0), ("uncertain", 0.2), ("lost", 0), ("tracked", 0.9)))) == []


def test_scores_are_held_against_j_in_bins_and_lost_frames_have_none():
    table = state_table([judged(("tracked", 1.0), ("tracked", 0.9), ("uncertain", 0.1), ("lost", 0))])
    first, *middle, last = table["score"]
    assert (first["frames"], last["frames"], [b["frames"] for b in middle]) == (1, 2, [0, 0, 0])
    assert last["J"] == pytest.approx(95)
    assert first["J_below_0.5"] == 100


def test_the_lines_show_what_there_is():
    assert "-" in state_lines(state_table([]))[1]
    text = "\n".join(state_lines(state_table([judged(("lost", 0), ("reacquired", 0.2), ("tracked", 0.25))])))
    for words in ("100.0 % with J below 0.3", "100.0 % of them wrong", "after 1 frames", "score 0.2 to 0.4"):
        assert words in text
