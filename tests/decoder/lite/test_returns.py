"""Whether what a search has found is the object that left: alike things are doubted, and say why."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from decoder.lite.textured_square import BACKGROUND, SIZE, SPRITE, draw, texture, tracks

from nodes.decoder.lite import returns
from nodes.decoder.lite.backend import Lite
from nodes.decoder.lite.returns import Sighting, doubt_of
from nodes.decoder.lite.template import TemplateMatch, cut_template
from nodes.decoder.segmentation import Segmenter
from stream import geometry
from stream.messages import Prompt

RGB, MASK = draw(30)


def match(mismatch: float, visible: float = 1.0) -> TemplateMatch:
    return TemplateMatch(geometry.IDENTITY, mismatch, visible)


def place(x: int, y: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[y : y + 50, x : x + 50] = 1
    return mask


@pytest.mark.parametrize(
    ("found", "absent_frames", "doubt"),
    [
        (match(0.1), 20, ""),
        (match(0.25), 20, returns.NOT_ALIKE_ENOUGH),
        (match(0.15), 500, returns.NOT_ALIKE_ENOUGH),
        (match(0.1), 500, ""),
        (match(0.1, visible=0.3), 20, returns.PARTLY_SEEN),
        (match(0.03, visible=0.3), 20, ""),
    ],
)
def test_a_match_counts_where_it_is_close_and_mostly_in_sight(found, absent_frames, doubt):
    assert doubt_of(found, Sighting.of_frame(RGB, MASK), absent_frames) == doubt


@pytest.mark.parametrize("found", [match(0.25), match(0.1, visible=0.3)])
def test_what_comes_out_where_it_went_in_needs_to_be_less_close(found):
    assert doubt_of(found, Sighting.of_frame(RGB, MASK), 20, expected=True) == ""


@pytest.mark.parametrize(
    ("distance_px", "absent_frames", "expected"), [(10, 20, True), (60, 20, False), (10, 200, False)]
)
def test_only_after_a_short_absence_and_near_its_place_a_return_is_expected(distance_px, absent_frames, expected):
    own = cut_template(RGB, MASK, geometry.IDENTITY)  # 50 px large
    assert returns.is_expected(distance_px, own, absent_frames) == expected


def test_a_twin_beside_the_object_makes_every_return_doubtful():
    twins = RGB.copy()
    twins[50:100, 140:190] = SPRITE
    assert Sighting.of_frame(twins, MASK).rival_mismatch < 0.1
    assert doubt_of(match(0.1), Sighting.of_frame(twins, MASK), 20, expected=True) == returns.LOOKALIKE
    assert not np.isfinite(Sighting.of_frame(np.zeros_like(RGB), np.zeros(SIZE, np.uint8)).rival_mismatch)


def test_what_was_there_while_the_object_was_elsewhere_is_not_the_object():
    sighting, variance = Sighting.of_frame(RGB, MASK), 3000.0
    assert sighting.shows_already(RGB, place(140, 50), variance)
    assert not sighting.shows_already(RGB, place(30, 50), variance)  # its own place tells nothing
    assert not sighting.shows_already(draw(140)[0], place(140, 50), variance)


def test_the_picture_of_a_sighting_is_bounded():
    sighting = Sighting.of_frame(np.zeros((2160, 3840, 3), np.uint8), np.zeros((2160, 3840), np.uint8))
    assert sighting.mask.size <= returns.STORED_PX
    assert sighting.shows_already(np.zeros((2160, 3840, 3), np.uint8), np.ones((2160, 3840), np.uint8), 100.0)


def run_states(clip):
    segmenter, out = Segmenter(Lite()), []
    for i, rgb in enumerate(clip):
        prompts = [Prompt(object_id=1, mask=draw(130)[1])] if i == 0 else []
        (o,) = segmenter.step(tracks(i, rgb, *prompts))[0].objects
        out.append((o.state, o.reason, o.area))
    return out


def with_twin(x: float) -> np.ndarray:
    rgb = draw(x)[0]
    rgb[90:140, 10:60] = SPRITE
    return rgb


def test_a_twin_that_stays_is_never_taken_for_the_object_that_left():
    results = run_states([with_twin(130 + 8 * i) for i in range(45)])
    assert results[-1][0] == "lost"
    assert "reacquired" not in {state for state, _, _ in results}
    assert not any(area for _, _, area in results[14:])


def test_one_that_may_be_a_twin_is_not_reacquired():
    alone = with_twin(500)
    results = run_states(
        [with_twin(130 + 8 * i) for i in range(12)] + [alone] * 14 + [with_twin(224 - 8 * i) for i in range(14)]
    )
    assert "reacquired" not in {state for state, _, _ in results}
    assert returns.LOOKALIKE in {reason for _, reason, _ in results[26:]}


def test_another_of_like_colours_is_not_reacquired():
    other = cv2.GaussianBlur(texture(9, 50, 50, (60, -30, -30)), (0, 0), 1)

    def passing(x: int) -> np.ndarray:
        rgb = BACKGROUND.copy()
        rgb[40:90, x : x + 50] = other
        return rgb

    clip = [draw(130 + 8 * i)[0] for i in range(12)] + [BACKGROUND] * 14 + [passing(160 - 6 * i) for i in range(20)]
    assert not {"reacquired", "tracked"} & {state for state, _, _ in run_states(clip)[26:]}
