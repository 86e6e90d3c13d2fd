"""Tracker and decoder in one process: every frame is answered once and in order, and seeds find their way back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from builders import mask_prompt, moving_square, point_prompt

from stream.messages import Masks, Tracks
from stream.settings.config import Config
from tools.evaluation.in_process import InProcessGraph, InProcessTracker, lossless
from tools.evaluation.measures import region_similarity

FRAMES = 18  # two boundaries, and some that wait for a third


def followed(config: Config) -> tuple[list[Masks], list[int], list[float]]:
    """The masks of a moving square, how many came with each frame, and their IoU with the truth."""
    graph, clip = InProcessGraph(config), moving_square(FRAMES)
    answers = [graph.step(rgb, [mask_prompt(1, clip[0][1])] if i == 0 else ()) for i, (rgb, _) in enumerate(clip)]
    masks = [m for answer in [*answers, graph.finish()] for m in answer]
    ious = [region_similarity(truth != 0, m.label_image() == 1) for m, (_, truth) in zip(masks, clip, strict=True)]
    return masks, [len(answer) for answer in answers], ious


def test_each_frame_is_answered_at_once_and_its_object_followed() -> None:
    masks, counts, ious = followed(lossless("lite"))
    assert [m.stamp.frame_id for m in masks] == list(range(FRAMES))
    assert counts == [1] * FRAMES
    assert min(ious) > 0.8


def test_a_horizon_is_answered_whole_and_the_rest_at_the_end() -> None:
    masks, counts, ious = followed(lossless("lite", {"tracker.emit": "horizon"}))
    assert [m.stamp.frame_id for m in masks] == list(range(FRAMES))
    assert max(counts) > 1
    assert sum(counts) < FRAMES
    assert min(ious) > 0.8


def test_points_are_drawn_anew_from_the_seeds_that_came_back() -> None:
    masks, _, _ = followed(lossless("lite"))
    points = [m.objects[0].xy for m in masks]
    steps = [
        np.abs(after - before).max() if after.shape == before.shape else np.inf for before, after in pairwise(points)
    ]
    jumps = [i + 1 for i, step in enumerate(steps) if step > 8]  # the square moves by 3 px a frame
    assert jumps
    assert all(masks[i].boundary or masks[i - 1].boundary or i == 1 for i in jumps)


def test_a_tracker_alone_keeps_the_points_it_was_given() -> None:
    tracker, clip = InProcessTracker(lossless("lite", {"tracker.reinit": False})), moving_square(FRAMES)
    start = [(30, 40), (50, 60)]
    sent = [m for i, (rgb, _) in enumerate(clip) for m in tracker.step(rgb, [point_prompt(1, start)] if i == 0 else ())]
    tracks = [m for m in [*sent, *tracker.finish()] if isinstance(m, Tracks)]
    assert [t.frame.stamp.frame_id for t in tracks] == list(range(FRAMES))
    for i, t in enumerate(tracks):
        np.testing.assert_allclose(t.objects[0].xy, np.add(start, (3 * i, 0)), atol=1.0)


def test_a_graph_that_is_given_the_same_clip_again_answers_the_same() -> None:
    one, _, _ = followed(lossless("lite"))
    other, _, _ = followed(lossless("lite"))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.label_image(), b.label_image())


@pytest.mark.parametrize("overrides", [{"capture.realtime": True}, {"capture.source": "0"}])
def test_an_evaluation_is_lossless_whatever_the_preset_says(overrides: dict[str, object]) -> None:
    assert not lossless("lite", overrides).live
