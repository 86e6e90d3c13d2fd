"""Honest states: what each kind of evidence does to an object."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.evidence import judge
from nodes.decoder.mask_model import ScoreLimits
from nodes.decoder.states import FOUND_FRAMES, REACQUIRED_FRAMES, ObjectState
from stream.messages import ObjectTrack


def track(*visibility: float, label: int = 1) -> ObjectTrack:
    n = len(visibility)
    return ObjectTrack(
        object_id=1,
        xy=np.zeros((n, 2), np.float32),
        visibility=np.array(visibility, np.float32),
        labels=np.full(n, label, np.uint8),
    )


def states(evidence: str, lost_after_frames: int = 3) -> list[str]:
    """The states after each letter: c clear, w weak, p weak and a part that comes out, m missing, P a prompt."""
    names = {"c": "clear", "w": "weak", "p": "weak", "m": "missing", "P": "clear"}
    state = ObjectState(lost_after_frames)
    return [state.step(names[letter], part=letter == "p", prompted=letter == "P") for letter in evidence]


@pytest.mark.parametrize(
    ("area", "score", "points", "expected"),
    [
        (500, 0.9, track(1, 1, 0), "clear"),
        (500, 0.9, track(), "clear"),
        (500, 0.9, track(0, 0, 0), "weak"),
        (500, 0.9, track(0, 0, label=0), "clear"),
        (500, 0.4, track(1, 1), "weak"),
        (500, 0.1, track(1, 1), "missing"),
        (24, 0.9, track(1, 1), "missing"),
        (0, 0.9, track(1, 1), "missing"),
        (9500, 0.9, track(1, 1), "missing"),
    ],
)
def test_evidence_follows_from_area_score_and_visible_points(area, score, points, expected):
    assert judge(area, 10_000, score, points, 25, lost=False, limits=ScoreLimits())[0] == expected


@pytest.mark.parametrize(
    ("area", "score", "points", "why"),
    [
        (500, 0.9, track(1, 1), ""),
        (500, 0.9, track(0, 0, 0), "few points visible"),
        (500, 0.4, track(1, 1), "low score"),
        (500, 0.1, track(1, 1), "score too low"),
        (24, 0.9, track(1, 1), "mask too small"),
        (0, 0.9, track(1, 1), "no mask found"),
        (9500, 0.9, track(1, 1), "mask covers the whole frame"),
    ],
)
def test_evidence_says_what_speaks_against_a_mask(area, score, points, why):
    assert judge(area, 10_000, score, points, 25, lost=False, limits=ScoreLimits())[1] == why


def test_a_mask_that_the_model_doubts_to_be_the_object_is_weak_whatever_its_score():
    limits = ScoreLimits(sure=0.8)
    assert judge(500, 10_000, 0.95, track(1, 1), 25, False, limits, "something else looks like it") == (
        "weak",
        "something else looks like it",
    )


def test_the_old_points_of_an_object_that_is_found_again_do_not_speak_against_it():
    assert judge(500, 10_000, 0.9, track(0, 0), 25, lost=True, limits=ScoreLimits()) == ("clear", "")


def test_an_object_goes_from_tracked_over_uncertain_to_lost():
    assert states("ccwmm") == ["tracked", "tracked", "uncertain", "uncertain", "uncertain"]
    assert states("cmmm") == ["tracked", "uncertain", "uncertain", "lost"]
    assert states("cmmcmm")[-1] == "uncertain"


def test_a_lost_object_needs_clear_frames_in_a_row_to_be_reacquired():
    assert FOUND_FRAMES == 2
    assert states("mmmcmcwcc")[3:] == ["lost", "lost", "lost", "lost", "lost", "reacquired"]


def test_reacquired_is_shown_for_a_while_and_then_it_is_tracked():
    after = states("mmm" + "c" * (FOUND_FRAMES + REACQUIRED_FRAMES))[3 + FOUND_FRAMES - 1 :]
    assert after == ["reacquired"] * REACQUIRED_FRAMES + ["tracked"]


def test_a_reacquired_object_can_be_lost_again():
    assert states("mmmccmmm")[-3:] == ["uncertain", "uncertain", "lost"]


def test_a_lost_object_of_which_a_part_comes_out_is_uncertain_until_it_is_found_as_a_whole():
    assert states("mmmppwcc")[3:] == ["lost", "uncertain", "uncertain", "uncertain", "reacquired"]
    assert states("mmmpmpp")[3:] == ["lost", "lost", "lost", "uncertain"]  # a single frame may be anything
    assert states("mmmpwpp")[3:] == ["lost", "lost", "lost", "uncertain"]
    assert states("mmmppmmm")[3:] == ["lost", "uncertain", "uncertain", "uncertain", "lost"]
    assert states("mmmppmmmcc")[-2:] == ["lost", "reacquired"]
    assert states("mmmppwww")[3:] == [
        "lost",
        "uncertain",
        "uncertain",
        "uncertain",
        "lost",
    ]  # doubt alone is not enough
    assert states("mmmpPmmmp")[-1] == "lost"  # a prompt begins anew


def test_a_part_that_is_no_mask_counts_for_nothing():
    state = ObjectState(3, state="lost")
    assert [state.step("missing", part=True) for _ in range(4)] == ["lost"] * 4


def test_a_part_alone_does_not_bring_an_object_back_where_masks_are_not_checked():
    state = ObjectState(3, strict=False, state="lost")
    assert [state.step("weak", part=True) for _ in range(3)] == ["lost", "uncertain", "uncertain"]
    assert state.step("weak") == "reacquired"
    assert states("mmmpcc")[3:] == ["lost", "uncertain", "reacquired"]
    assert states("cp") == ["tracked", "uncertain"]


def test_a_prompt_makes_any_state_tracked():
    assert states("mmmP")[-1] == "tracked"
    assert states("mmmppPw")[-2:] == ["tracked", "uncertain"]


def test_a_restored_object_is_uncertain_until_it_was_seen_clearly_twice_in_a_row():
    def restored(evidence: str) -> list[str]:
        names = {"c": "clear", "w": "weak", "m": "missing", "P": "clear"}
        state = ObjectState(3, state="uncertain", found=False)
        return [state.step(names[letter], prompted=letter == "P") for letter in evidence]

    assert restored("cccm") == ["uncertain", "tracked", "tracked", "uncertain"]
    assert restored("cwcwcc") == ["uncertain"] * 5 + ["tracked"]
    assert restored("mmmcc") == ["uncertain", "uncertain", "lost", "lost", "reacquired"]
    assert restored("wPc") == ["uncertain", "tracked", "tracked"]
