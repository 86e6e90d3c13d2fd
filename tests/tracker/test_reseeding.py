"""Masks that come back from the decoder: new points on their frame, in time and late, with a four-line point model."""

from __future__ import annotations

import numpy as np
from tracker.drifting_points import SIZE, box, frame, points, positions, run, seeds, seeds_at_boundary, tracker

from stream.crops import uncrop_mask
from stream.messages import Prompt, ReinitRequest, Tracks


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


def test_a_seed_that_is_older_than_the_frame_buffer_or_than_the_last_one_is_ignored():
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
    t = tracker(reinit=False, link="visible")
    t.add(points(1))
    t.add(box(2))
    out = run(t, range(20), seeds_at_boundary)
    assert positions(out[-1], 1).tolist() == [[39, 20], [43, 30]]
    assert len(positions(out[-1], 2)) == 9


def test_a_removed_object_is_gone_from_the_next_frame_and_its_seed_does_not_bring_it_back():
    t = tracker()
    t.add(points(1))
    run(t, range(8))
    t.remove(1)
    t.reseed(seeds(7, 1))
    assert t.step(frame(8))[0].objects == ()
    assert t.object_ids == []


def test_a_lossless_feed_waits_for_its_seeds_and_can_give_up():
    t = tracker(wait_for_seed=True)
    t.add(points())
    waited = []
    for i in range(8):
        t.step(frame(i))
        waited.append(t.must_wait)
        if i == 0:
            t.reseed(seeds(0, 1))
    assert waited == [True] + [False] * 6 + [True]
    t.give_up_waiting()
    assert not t.must_wait
    assert not tracker().must_wait


def test_a_restarted_decoder_gets_the_last_mask_where_it_is_now():
    t = tracker()
    t.add(box(1))
    run(t, (0,))
    t.reseed(seeds(0, 1))
    run(t, range(1, 11))  # over the boundary at 7, whose mask was bad: the old one is carried on
    t.decoder_restarted()
    (prompt,) = t.step(frame(11))[0].prompts
    assert prompt.kind == "restore"
    expected = uncrop_mask((50, 20, 10, 12), np.ones((12, 10), np.uint8), SIZE)
    assert np.array_equal(prompt.mask, expected)  # 10 px to the right of where it was given on frame 0
    assert t.step(frame(12))[0].prompts == ()


def test_a_decoder_that_died_before_its_first_mask_is_asked_again():
    t = tracker()
    t.add(box(1))
    run(t, range(2))
    t.decoder_restarted()
    assert t.step(frame(2))[0].prompts == (box(1),)


def test_a_restored_object_begins_with_its_mask_and_no_points():
    t = tracker()
    mask = np.zeros(SIZE, np.uint8)
    mask[10:20, 10:20] = 1
    t.restore(Prompt(object_id=7, kind="restore", mask=mask))
    out = t.step(frame(0))[0]
    assert out.prompts[0].kind == "restore"
    assert positions(out, 7).shape == (0, 2)


def test_seeds_of_another_geometry_are_ignored():
    t = tracker()
    t.add(box(1))
    run(t, range(3))
    t.step(frame(3, size=(120, 160), epoch=1))
    t.reseed(seeds(3, 1))
    assert positions(t.step(frame(4, size=(120, 160), epoch=1))[0]).shape == (0, 2)


def test_a_seed_of_an_earlier_frame_takes_its_object_back_there():
    t = tracker(reinit_variant="C")
    t.add(points(1))
    t.add(points(2))
    out = run(t, range(8))
    assert (out[-1].boundary, out[-1].seeds_for) == (True, (1, 2))
    t.reseed(seeds(7, 1, of=4))
    t.reseed(seeds(7, 2))
    assert not t.awaited_seeds
    later = run(t, range(8, 16))
    assert {x.frame.stamp.frame_id: x.seeds_for for x in later if x.boundary} == {11: (1,), 14: (2,)}
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
    assert [x.frame.stamp.frame_id for x in later if x.boundary] == [12]
    assert later[4].seeds_for == (1, 2)


def test_a_seed_that_takes_an_object_far_back_ends_the_windows_that_fit_in_between():
    t = tracker(reinit_variant="B")
    t.add(points(1))
    run(t, range(14))
    t.reseed(seeds(7, 1, of=1))  # of the first window; it took six frames to come
    assert t.objects[1].window_ends == [8]
    assert run(t, range(14, 16))[-1].seeds_for == (1,)
    assert max(t.model.lengths) <= 8


def test_a_live_feed_runs_no_more_than_one_window_ahead_of_its_masks():
    t = tracker()
    t.add(points())
    run(t, range(1), seeds_at_boundary)
    t.reseed(seeds(0, 1))
    assert not t.a_window_ahead
    run(t, range(1, 14))
    assert not t.a_window_ahead
    run(t, [14])
    assert t.a_window_ahead
    t.reseed(seeds(7, 1))
    assert not t.a_window_ahead


def test_a_boundary_frame_of_a_finished_clip_is_requested_first_and_tracked_again_with_its_new_points():
    t = tracker(wait_for_seed=True, redo_boundary=True)
    t.add(points())
    out = run(t, range(10), seeds_at_boundary)
    kinds = [(x.frame.stamp.frame_id, type(x)) for x in out]
    assert kinds == [*((i, Tracks) for i in range(7)), (7, ReinitRequest), (7, Tracks), (8, Tracks), (9, Tracks)]
    request, final = (x for x in out if x.frame.stamp.frame_id == 7)
    assert request.seeds_for == (1,)
    assert (final.boundary, final.seeds_for) == (True, ())  # nobody answers it with Seeds once more
    assert set(positions(final)[:, 0]) <= set(range(42, 53))  # on the seed's mask
    np.testing.assert_array_equal(positions(out[-2]) - positions(final), np.broadcast_to([1, 0], (9, 2)))


def test_a_clip_that_ends_with_a_window_keeps_the_points_that_the_window_brought():
    t = tracker(wait_for_seed=True, redo_boundary=True, emit="horizon")
    t.add(points())
    out = run(t, range(8), seeds_at_boundary)
    (final,) = t.flush()
    assert (type(out[-1]), type(final)) == (ReinitRequest, Tracks)
    assert (final.boundary, final.seeds_for) == (True, ())
    np.testing.assert_array_equal(positions(final), positions(out[-1]))


def test_a_removed_object_does_not_come_back_when_its_boundary_is_tracked_again():
    t = tracker(wait_for_seed=True, redo_boundary=True)
    t.add(points(1))
    t.add(points(2, ((30, 30),)))
    run(t, range(8))
    t.remove(2)
    final, newest = t.step(frame(8))
    assert [o.object_id for o in final.objects] == [1, 2]  # it was there on that frame
    assert [o.object_id for o in newest.objects] == [1]


def test_a_new_object_ends_the_windows_of_the_others_only_where_the_paper_is_followed_to_the_letter():
    for redo, kind, asked_about in ((True, ReinitRequest, (1, 2)), (False, Tracks, (2,))):
        t = tracker(wait_for_seed=True, redo_boundary=redo)
        t.add(points(1))
        run(t, range(3), seeds_at_boundary)
        t.add(points(2, ((30, 30),)))
        [answer] = t.step(frame(3))
        assert (type(answer), answer.seeds_for) == (kind, asked_about)
        assert [p.object_id for p in answer.prompts] == [2]


def test_the_prompts_of_a_boundary_frame_go_along_when_it_is_tracked_again():
    t = tracker(wait_for_seed=True, redo_boundary=True)
    t.add(points(1))
    run(t, range(3), seeds_at_boundary)
    t.add(points(2, ((30, 30),)))
    request, final, _ = run(t, (3, 4), seeds_at_boundary)
    assert [p.object_id for p in request.prompts] == [p.object_id for p in final.prompts] == [2]


def test_a_live_feed_never_answers_a_frame_twice():
    t = tracker()
    t.add(points())
    assert [(x.frame.stamp.frame_id, type(x)) for x in run(t, range(20), seeds_at_boundary)] == [
        (i, Tracks) for i in range(20)
    ]


def test_a_restarted_decoder_is_told_when_and_how_the_object_was_last_seen_well():
    t = tracker()
    t.add(box(1))
    run(t, (0,))
    t.reseed(seeds(0, 1))
    run(t, range(1, 6))
    t.decoder_restarted()
    (prompt,) = t.step(frame(6))[0].prompts
    first = frame(0)
    assert prompt.seen_unix_ns == first.stamp.captured_unix_ns
    sighting = prompt.sighting
    x, y, width, height = sighting.window
    assert np.array_equal(sighting.rgb, first.rgb[y : y + height, x : x + width])
    assert np.array_equal(uncrop_mask(sighting.window, sighting.mask, SIZE), t.objects[1].mask)
