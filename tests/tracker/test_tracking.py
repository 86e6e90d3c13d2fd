"""Frames and prompts in, tracks out: the horizon and its boundaries, with a four-line point model."""

from __future__ import annotations

import numpy as np
import pytest
from tracker.drifting_points import SIZE, Drift, box, frame, points, positions, run, seeds, seeds_at_boundary, tracker

from nodes.tracker.tracking import PointTracker
from stream.errors import ModelError, PromptError
from stream.messages import Frame, Stamp
from stream.settings.options import TrackerOptions


def test_a_boundary_comes_every_seven_frames_of_a_horizon_of_eight():
    t = tracker()
    t.add(points())
    out = run(t, range(3, 26))
    assert [x.frame.stamp.frame_id for x in out if x.boundary] == [10, 17, 24]


def test_windows_count_frames_seen_and_not_frames_passed_over():
    t = tracker()
    t.add(points())
    out = run(t, range(0, 60, 3))
    assert [x.frame.stamp.frame_id for x in out if x.boundary] == [21, 42]


def test_every_frame_is_encoded_once_and_no_window_is_longer_than_the_horizon():
    t = tracker()
    t.add(points())
    run(t, range(40), seeds_at_boundary)
    assert t.model.encoded == list(range(40))
    assert max(t.model.lengths) == 8


def test_without_objects_frames_pass_through_and_nothing_is_awaited():
    out = run(tracker(wait_for_seed=True), range(20))
    assert len(out) == 20
    assert not any(x.objects or x.boundary for x in out)


def test_both_emit_modes_agree_on_every_frame_with_a_causal_model():
    streams = {}
    for emit in ("frame", "horizon"):
        t = tracker(emit=emit)
        t.add(points())
        streams[emit] = run(t, range(30), seeds_at_boundary) + t.flush()
    assert [x.frame.stamp.frame_id for x in streams["horizon"]] == list(range(30))
    for a, b in zip(streams["frame"], streams["horizon"], strict=True):
        assert a.boundary == b.boundary
        assert np.array_equal(positions(a), positions(b))


@pytest.mark.parametrize(
    ("emit", "reinit", "revises", "final"),
    [
        ("frame", True, True, [True, *[False] * 3] * 2 + [True, False, False]),  # horizon 5
        ("frame", False, True, [True, *[False] * 3] * 2 + [True, False, False]),
        ("horizon", True, True, [True] * 11),
        ("frame", True, False, [True] * 11),
    ],
)
def test_points_are_final_at_the_end_of_their_window_or_when_no_later_frame_revises_them(emit, reinit, revises, final):
    link = "boundary" if reinit else "visible"
    t = tracker(horizon=5, emit=emit, reinit=reinit, revises=revises, link=link)
    t.add(points())
    out = run(t, range(11), seeds_at_boundary) + t.flush()
    assert [o.points_final for x in out for o in x.objects] == final


def test_emit_horizon_runs_the_model_once_a_window():
    t = tracker(emit="horizon")
    t.add(points())
    replies = [len(t.step(frame(i))) for i in range(22)]
    assert replies == [1] + ([0] * 6 + [7]) * 3
    assert t.model.lengths == [8, 8, 8]


def test_points_given_by_the_user_are_tracked_from_the_next_frame_and_the_prompt_goes_along():
    t = tracker()
    run(t, range(3))
    t.add(points())
    out = run(t, (3, 4))
    assert [len(x.prompts) for x in out] == [1, 0]
    assert positions(out[0]).tolist() == [[20, 20], [24, 30]]
    assert positions(out[1]).tolist() == [[21, 20], [25, 30]]


def test_adding_and_removing_in_mid_horizon_leaves_the_others_unchanged():
    alone, busy = tracker(), tracker()
    for t in (alone, busy):
        t.add(points(1))
    answers = {id(alone): [], id(busy): []}
    for i in range(30):
        if i == 3:
            busy.add(box(2))
        if i == 12:
            busy.remove(2)
        for t in (alone, busy):
            for tracks in t.step(frame(i)):
                answers[id(t)].append(positions(tracks, 1))
                if tracks.boundary:
                    t.reseed(seeds(i, 1, x=20 + i % 5))
                elif any(p.object_id == 2 for p in tracks.prompts):
                    t.reseed(seeds(i, 2))
    assert all(np.array_equal(a, b) for a, b in zip(*answers.values(), strict=True))


def test_objects_given_at_different_frames_share_their_windows_from_the_next_boundary():
    t = tracker()
    t.add(points(1))
    run(t, range(4))
    t.add(points(2))
    run(t, range(4, 8))
    t.model.lengths.clear()
    run(t, range(8, 12))
    assert t.model.lengths == [2, 3, 4, 5]  # one run a frame for both


def test_clicks_on_an_object_join_its_points_until_the_mask_speaks():
    t = tracker()
    t.add(points(1))
    run(t, range(4))
    t.refine(points(1, xy=((30, 40),), kind="refine"))
    out = run(t, (4, 5, 6, 7))
    assert positions(out[0]).tolist() == [[24, 20], [28, 30], [30, 40]]
    assert out[-1].boundary
    assert len(positions(t.step(frame(8))[0])) == 3
    t.reseed(seeds(7, 1))
    assert len(positions(t.step(frame(9))[0])) == 9


def test_refining_what_is_not_there_is_an_error_that_says_so():
    with pytest.raises(PromptError, match="object 4"):
        tracker().refine(points(4, kind="refine"))


def test_a_frame_that_is_not_newer_is_ignored_unless_its_session_is():
    t = tracker()
    t.add(points())
    run(t, range(5))
    assert t.step(frame(4)) == []
    assert t.step(frame(2)) == []
    assert len(t.step(frame(0, session=1))) == 1
    assert len(positions(t.step(frame(1, session=1))[0])) == 2


def test_a_change_of_the_frame_size_rescales_points_and_masks_and_asks_for_masks_anew():
    t = tracker()
    t.add(box(1))
    run(t, (0,))
    t.reseed(seeds(0, 1))
    before = positions(run(t, (1, 2))[-1])
    out = t.step(frame(3, size=(120, 160), epoch=1))[0]
    assert np.allclose(positions(out), 2 * before + 0.5)
    (prompt,) = out.prompts
    assert prompt.mask.shape == (120, 160)
    rows, columns = np.nonzero(prompt.mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 63, 84, 103)
    t.reseed(seeds(3, 1, size=(120, 160), epoch=1))
    assert len(positions(t.step(frame(4, size=(120, 160), epoch=1))[0])) == 9


def test_points_at_the_border_count_as_invisible():
    t = tracker()
    t.add(points(1, xy=((77, 30), (0.2, 30), (40, 59.9), (40, 30))))
    out = run(t, range(4))
    assert out[0].objects[0].visibility.tolist() == [1, 0, 0, 1]
    assert out[3].objects[0].visibility.tolist() == [0, 1, 0, 1]


def test_the_frame_buffer_stays_bounded_on_a_long_feed():
    t = tracker()
    t.add(points())
    run(t, range(500))
    assert len(t.buffer.frames) == 16


def test_reset_returns_to_the_beginning():
    t = tracker()
    t.add(points())
    first = [positions(x) for x in run(t, range(10))]
    t.reset()
    t.add(points())
    assert all(np.array_equal(a, positions(b)) for a, b in zip(first, run(t, range(10)), strict=True))


class Failing(Drift):
    """Has no answer while `broken` names the part that fails."""

    broken = ""

    def encode(self, rgb):
        if self.broken == "encode":
            raise ModelError("out of memory")
        return super().encode(rgb)

    def track(self, window, points, earlier):
        if self.broken == "track":
            raise ModelError("not a number")
        return super().track(window, points, earlier)


def test_a_frame_that_the_model_cannot_encode_is_passed_over_and_the_next_goes_on():
    t, healthy = PointTracker(Failing(), TrackerOptions()), tracker()
    for each in (t, healthy):
        each.add(points())
        run(each, range(3))
    t.model.broken = "encode"
    with pytest.raises(ModelError, match="memory"):
        t.step(frame(3))
    t.model.broken = ""
    for i in range(4, 9):
        np.testing.assert_array_equal(positions(t.step(frame(i))[0]), positions(healthy.step(frame(i))[0]))


def test_points_wait_unseen_while_the_model_has_no_answer():
    t = PointTracker(Failing(), TrackerOptions())
    t.add(points())
    run(t, range(3))
    t.model.broken = "track"
    waiting = run(t, range(3, 12))  # over a boundary
    for tracks in waiting:
        np.testing.assert_array_equal(positions(tracks), positions(waiting[0]))
        assert (tracks.objects[0].visibility == 0).all()
    t.model.broken = ""
    assert (run(t, [12])[0].objects[0].visibility == 1).all()


def test_tracks_say_which_points_are_the_same_and_where_they_were_drawn():
    t = tracker()
    t.add(points())
    first = run(t, range(3))[-1].objects[0]
    t.reseed(seeds(2, 1))
    drawn = run(t, range(3, 12))
    assert len({o.objects[0].points_id for o in drawn}) == 1
    assert drawn[0].objects[0].points_id != first.points_id
    assert {o.objects[0].drawn_id for o in drawn} == {2}
    steps = drawn[-1].frame.stamp.frame_id - 2
    np.testing.assert_allclose(drawn[-1].objects[0].drawn_xy + np.array([steps, 0]), drawn[-1].objects[0].xy)


def test_the_patch_filter_gives_up_points_that_have_slid_off_their_patch():
    t = tracker(patch_similarity=0.01)
    t.add(points(xy=((20, 20),)))
    seen = [run(t, [i])[0].objects[0].visibility[0] for i in range(4)]  # frames grow lighter by one level
    assert seen == [1, 1, 1, 1]
    for i, level in ((4, 255), (5, 0)):
        rgb = np.full((*SIZE, 3), level, np.uint8)
        rgb[0, 0] = i  # what the model goes by
        stamp = Stamp(camera="c", session=0, frame_id=i, captured_ns=i, captured_unix_ns=i)
        [tracks] = t.step(Frame(stamp=stamp, rgb=rgb))
        assert tracks.objects[0].visibility[0] == 0  # for good: it looks alike again on frame 5
