"""The horizon, its boundaries and re-seeding, with a four-line point model."""

from __future__ import annotations

import numpy as np
import pytest
from tracker_examples import SIZE, frame, points

from nodes.tracker.model import Trajectories
from nodes.tracker.tracking import PointTracker
from stream.crops import uncrop_mask
from stream.errors import ModelError, PromptError
from stream.messages import Frame, Prompt, Seed, Seeds, Stamp, Tracks


class Drift:
    """Everything moves one px to the right a frame; a point's memory is where it was drawn."""

    def __init__(self) -> None:
        self.encoded: list[int] = []
        self.lengths: list[int] = []

    def encode(self, rgb):
        self.encoded.append(int(rgb[0, 0, 0]))
        return int(rgb[0, 0, 0])

    def describe(self, features, xy):
        return np.asarray(xy, np.float32)

    def relink(self, memory, features, xy, visibility):
        return memory

    def link(self, visibility):
        return np.full(visibility.shape[1], len(visibility) - 1)

    def track(self, window, points, known):
        self.lengths.append(len(window))
        steps = np.array(window, np.float32) - window[0]
        shift = np.stack([steps, np.zeros_like(steps)], axis=1)
        return Trajectories(points.xy[None] + shift[:, None], np.ones((len(window), len(points)), np.float32))


def box(object_id: int = 1) -> Prompt:
    return Prompt(object_id=object_id, box=(10, 10, 30, 30))


def seeds(i: int, *ids: int, x: int = 40, size=SIZE, epoch: int = 0, of: int = -1) -> Seeds:
    """The answer to frame `i`, with masks of frame `of`, or the very one."""
    mask = np.ones((12, 10), np.uint8)
    objects = tuple(Seed(object_id=o, bbox=(x, 20, 10, 12), mask=mask, frame_id=of) for o in ids)
    return Seeds(frame_id=i, epoch=epoch, size=size, objects=objects)


def tracker(**options) -> PointTracker:
    return PointTracker(Drift(), **options)


def run(t: PointTracker, ids, answer=None) -> list[Tracks]:
    """The tracks of frames `ids`; `answer(tracks)` gives the Seeds that arrive at once, or None."""
    out = []
    for i in ids:
        for tracks in t.step(frame(i)):
            out.append(tracks)
            reply = answer(tracks) if answer else None
            if reply is not None:
                t.reseed(reply)
    return out


def positions(tracks: Tracks, object_id: int = 1) -> np.ndarray:
    return next(o for o in tracks.objects if o.object_id == object_id).xy


def at_boundary(tracks: Tracks) -> Seeds | None:
    i = tracks.frame.stamp.frame_id
    return seeds(i, *[o.object_id for o in tracks.objects], x=40 + i % 5) if tracks.boundary or tracks.prompts else None


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
    run(t, range(40), at_boundary)
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
        streams[emit] = run(t, range(30), at_boundary) + t.flush()
    assert [x.frame.stamp.frame_id for x in streams["horizon"]] == list(range(30))
    for a, b in zip(streams["frame"], streams["horizon"], strict=True):
        assert a.boundary == b.boundary
        assert np.array_equal(positions(a), positions(b))


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


def test_a_box_has_no_points_until_the_seed_comes():
    t = tracker()
    t.add(box())
    out = run(t, (0, 1))
    assert [len(positions(x)) for x in out] == [0, 0]
    t.reseed(seeds(0, 1))
    xy = positions(t.step(frame(2))[0])
    assert len(xy) == 9
    assert (xy[:8, 0] >= 42).all()  # the mask starts at 40 on frame 0, and two frames have passed
    assert (xy[:8, 0] < 52).all()


def test_a_seed_that_comes_late_ends_where_one_in_time_would_have():
    late, prompt = tracker(), tracker()
    for t in (late, prompt):
        t.add(points())
        run(t, range(8))
    prompt.reseed(seeds(7, 1))
    run(late, range(8, 17))  # beyond the next boundary, at 14
    late.reseed(seeds(7, 1))
    run(prompt, range(8, 17))
    a, b = late.step(frame(17))[0], prompt.step(frame(17))[0]
    assert np.array_equal(positions(a), positions(b))
    assert len(positions(a)) == 9


def test_a_seed_that_is_older_than_the_ring_or_than_the_last_one_is_ignored():
    t = tracker()
    t.add(points())
    run(t, range(16))
    t.reseed(seeds(14, 1))
    wanted = positions(t.step(frame(16))[0])
    t.reseed(seeds(7, 1, x=5))
    assert np.array_equal(positions(t.step(frame(17))[0]), wanted + np.array([1, 0]))
    run(t, range(18, 50))
    before = positions(t.step(frame(50))[0])
    t.reseed(seeds(20, 1, x=5))
    assert np.array_equal(positions(t.step(frame(51))[0]), before + np.array([1, 0]))


def test_an_object_that_the_seeds_leave_out_keeps_its_old_points():
    t = tracker()
    t.add(points(1))
    t.add(points(2, xy=((50, 50),)))
    run(t, range(8))
    t.reseed(seeds(7, 1))
    out = t.step(frame(8))[0]
    assert len(positions(out, 1)) == 9
    assert positions(out, 2).tolist() == [[58, 50]]


def test_without_reinit_points_live_on_and_seeds_only_fill_objects_that_have_none():
    t = tracker(reinit=False)
    t.add(points(1))
    t.add(box(2))
    out = run(t, range(20), at_boundary)
    assert positions(out[-1], 1).tolist() == [[39, 20], [43, 30]]
    assert len(positions(out[-1], 2)) == 9


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


def test_a_removed_object_is_gone_from_the_next_frame_and_its_seed_does_not_bring_it_back():
    t = tracker()
    t.add(points(1))
    run(t, range(8))
    t.remove(1)
    t.reseed(seeds(7, 1))
    assert t.step(frame(8))[0].objects == ()
    assert t.object_ids == []


def test_a_frame_that_is_not_newer_is_ignored_unless_its_session_is():
    t = tracker()
    t.add(points())
    run(t, range(5))
    assert t.step(frame(4)) == []
    assert t.step(frame(2)) == []
    assert len(t.step(frame(0, session=1))) == 1
    assert len(positions(t.step(frame(1, session=1))[0])) == 2


def test_a_lossless_feed_waits_for_its_seeds_and_can_give_up():
    t = tracker(wait_for_seed=True)
    t.add(points())
    waited = []
    for i in range(8):
        t.step(frame(i))
        waited.append(t.waiting)
        if i == 0:
            t.reseed(seeds(0, 1))
    assert waited == [True] + [False] * 6 + [True]
    t.give_up_waiting()
    assert not t.waiting
    assert not tracker().waiting


def test_a_decoder_that_was_restarted_is_told_the_last_mask_where_it_is_now():
    t = tracker()
    t.add(box(1))
    run(t, (0,))
    t.reseed(seeds(0, 1))
    run(t, range(1, 11))  # over the boundary at 7, whose mask was bad: the old one is carried on
    t.revive()
    (prompt,) = t.step(frame(11))[0].prompts
    assert prompt.kind == "restore"
    expected = uncrop_mask((50, 20, 10, 12), np.ones((12, 10), np.uint8), SIZE)
    assert np.array_equal(prompt.mask, expected)  # 10 px to the right of where it was given on frame 0
    assert t.step(frame(12))[0].prompts == ()


def test_a_decoder_that_died_before_its_first_mask_is_asked_again():
    t = tracker()
    t.add(box(1))
    run(t, range(2))
    t.revive()
    assert t.step(frame(2))[0].prompts == (box(1),)


def test_a_restored_object_begins_with_its_mask_and_no_points():
    t = tracker()
    mask = np.zeros(SIZE, np.uint8)
    mask[10:20, 10:20] = 1
    t.restore(Prompt(object_id=7, kind="restore", mask=mask))
    out = t.step(frame(0))[0]
    assert out.prompts[0].kind == "restore"
    assert positions(out, 7).shape == (0, 2)


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


def test_seeds_of_another_geometry_are_ignored():
    t = tracker()
    t.add(box(1))
    run(t, range(3))
    t.step(frame(3, size=(120, 160), epoch=1))
    t.reseed(seeds(3, 1))
    assert positions(t.step(frame(4, size=(120, 160), epoch=1))[0]).shape == (0, 2)


def test_points_at_the_border_count_as_invisible():
    t = tracker()
    t.add(points(1, xy=((77, 30), (0.2, 30), (40, 59.9), (40, 30))))
    out = run(t, range(4))
    assert out[0].objects[0].visibility.tolist() == [1, 0, 0, 1]
    assert out[3].objects[0].visibility.tolist() == [0, 1, 0, 1]


def test_the_ring_stays_bounded_on_a_long_feed():
    t = tracker()
    t.add(points())
    run(t, range(500))
    assert len(t.ring.frames) == 16


def test_reset_returns_to_the_beginning():
    t = tracker()
    t.add(points())
    first = [positions(x) for x in run(t, range(10))]
    t.reset()
    t.add(points())
    assert all(np.array_equal(a, positions(b)) for a, b in zip(first, run(t, range(10)), strict=True))


def test_a_seed_of_an_earlier_frame_takes_its_object_back_there():
    t = tracker(reinit_variant="C")
    t.add(points(1))
    t.add(points(2))
    out = run(t, range(8))
    assert out[-1].due == (1, 2)
    t.reseed(seeds(7, 1, of=4))
    t.reseed(seeds(7, 2))
    assert not t.awaited
    later = run(t, range(8, 16))
    assert {tracks.frame.stamp.frame_id: tracks.due for tracks in later if tracks.due} == {11: (1,), 14: (2,)}
    drawn = positions(later[0])  # frame 8: four steps after the seed's frame
    assert (drawn[:8, 0] >= 40 + 4).all()
    assert (drawn[:8, 0] < 50 + 4).all()
    assert t.model.encoded == list(range(16))


def test_variant_d_keeps_all_windows_together():
    t = tracker(reinit_variant="D")
    t.add(points(1))
    t.add(points(2))
    run(t, range(8))
    t.reseed(seeds(7, 1, of=5))  # the mask of object 2 was bad
    later = run(t, range(8, 14))
    assert [tracks.frame.stamp.frame_id for tracks in later if tracks.due] == [12]
    assert later[4].due == (1, 2)


def test_a_seed_that_takes_an_object_far_back_ends_the_windows_that_fit_in_between():
    t = tracker(reinit_variant="B")
    t.add(points(1))
    run(t, range(14))
    t.reseed(seeds(7, 1, of=1))  # of the first window; it took six frames to come
    assert t.objects[1].ends == [8]
    assert run(t, range(14, 16))[-1].due == (1,)
    assert max(t.model.lengths) <= 8


class Failing(Drift):
    """Has no answer while `broken` names the part that fails."""

    broken = ""

    def encode(self, rgb):
        if self.broken == "encode":
            raise ModelError("out of memory")
        return super().encode(rgb)

    def track(self, window, points, known):
        if self.broken == "track":
            raise ModelError("not a number")
        return super().track(window, points, known)


def test_a_frame_that_the_model_cannot_encode_is_passed_over_and_the_next_goes_on():
    t, healthy = PointTracker(Failing()), tracker()
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
    t = PointTracker(Failing())
    t.add(points())
    run(t, range(3))
    t.model.broken = "track"
    waiting = run(t, range(3, 12))  # over a boundary
    for tracks in waiting:
        np.testing.assert_array_equal(positions(tracks), positions(waiting[0]))
        assert (tracks.objects[0].visibility == 0).all()
    t.model.broken = ""
    assert (run(t, [12])[0].objects[0].visibility == 1).all()


def test_a_live_feed_runs_no_more_than_one_window_ahead_of_its_masks():
    t = tracker()
    t.add(points())
    run(t, range(1), at_boundary)
    t.reseed(seeds(0, 1))
    assert not t.ahead
    run(t, range(1, 14))
    assert not t.ahead
    run(t, [14])
    assert t.ahead
    t.reseed(seeds(7, 1))
    assert not t.ahead


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
