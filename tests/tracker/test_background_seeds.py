"""Seeds of a live feed: their points are drawn beside it, and taken as if the Seeds had come only then."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from running import until
from tracker.drifting_points import box, frame, points, positions, run, seeds, tracker
from tracker.tracker_stages import LIVE, masked, noise, started
from tracker.tracker_stages import seeds as noise_seeds

from nodes.tracker.background_seeds import BackgroundSeeds
from nodes.tracker.tracking import PointTracker
from stream.messages import FrameRef, PromptOnFrame, Tracks


class HeldWorker:
    """A worker whose job is done when a test says so."""

    def __init__(self) -> None:
        self.job = self.outcome = None
        self.started = 0

    @property
    def busy(self) -> bool:
        return self.job is not None

    def start(self, job) -> None:
        assert self.job is None, "one job at a time"
        self.job, self.started = job, self.started + 1

    def finish(self) -> None:
        try:
            self.outcome = (self.job(), None)
        except ValueError as error:
            self.outcome = (None, error)

    def take(self, wait_s: float = 0.0):
        if self.outcome is None:
            return None
        outcome, self.job, self.outcome = self.outcome, None, None
        return outcome


def beside(t: PointTracker) -> tuple[BackgroundSeeds, HeldWorker]:
    worker = HeldWorker()
    return BackgroundSeeds(t, worker), worker


def done(background: BackgroundSeeds, worker: HeldWorker) -> list[int]:
    """Let the points in work be drawn; the frames whose Seeds the tracker has taken."""
    worker.finish()
    return [s.frame_id for s in background.collect()]


def followed(t: PointTracker, *object_ids: int, until_frame: int = 8) -> None:
    """The first frames of these objects, up to a boundary on frame 7."""
    for i in object_ids or (1,):
        t.add(points(i))
    run(t, range(until_frame))


def test_the_old_points_go_on_while_new_ones_are_drawn_and_these_end_where_they_would_have_without_a_thread():
    t, at_once, late = tracker(), tracker(), tracker()
    for each in (t, at_once, late):
        followed(each)
    at_once.reseed(seeds(7, 1))
    background, worker = beside(t)
    assert background.add(seeds(7, 1)) == []
    old = [positions(x) for x in run(t, range(8, 11))]
    assert [len(xy) for xy in old] == [2, 2, 2]
    assert (t.objects[1].mask_frame, t.awaited_seeds) == (-1, {0, 7})  # as if they had not come
    assert done(background, worker) == [7]
    run(at_once, range(8, 11))
    run(late, range(8, 11))
    late.reseed(seeds(7, 1))
    new = positions(t.step(frame(11))[0])
    assert len(new) == 9
    assert np.array_equal(new, positions(at_once.step(frame(11))[0]))
    assert np.array_equal(new, positions(late.step(frame(11))[0]))
    assert not background.busy


def test_points_that_take_longer_than_a_window_are_caught_up_over_the_boundary_in_between():
    t, at_once = tracker(), tracker()
    for each in (t, at_once):
        followed(each)
    background, worker = beside(t)
    background.add(seeds(7, 1))
    at_once.reseed(seeds(7, 1))
    run(t, range(8, 17))
    run(at_once, range(8, 17))
    done(background, worker)
    assert np.array_equal(positions(t.step(frame(17))[0]), positions(at_once.step(frame(17))[0]))


def test_the_feed_runs_no_more_than_a_window_ahead_of_points_that_are_being_drawn():
    t = tracker()
    followed(t)
    background, worker = beside(t)
    background.add(seeds(7, 1))
    run(t, range(8, 15))
    assert t.a_window_ahead
    done(background, worker)
    assert not t.a_window_ahead


def test_seeds_of_which_nothing_is_drawn_are_taken_at_once_or_after_those_before_them():
    t = tracker()
    followed(t)
    background, worker = beside(t)
    assert [s.frame_id for s in background.add(seeds(0))] == [0]
    background.add(seeds(7, 1))
    run(t, range(8, 15))
    assert background.add(seeds(14)) == []
    assert t.awaited_seeds == {7, 14}
    assert done(background, worker) == [7, 14]
    assert (t.awaited_seeds, worker.started) == (set(), 1)


def test_one_batch_is_in_work_and_of_those_that_wait_the_newest_mask_of_each_object_wins():
    t = tracker()
    followed(t, 1, 2, until_frame=22)
    background, worker = beside(t)
    for each in (seeds(7, 1, 2), seeds(14, 1, 2, x=50), seeds(21, 1, x=60), seeds(13, 2, x=70)):
        background.add(each)
    assert [[*w.targets] for w in background.waiting] == [[2], [1], []]  # 13 is older than 14
    assert done(background, worker) == [7]
    assert worker.started == 2
    assert done(background, worker) == [14, 21, 13]
    assert (t.objects[1].mask_frame, t.objects[2].mask_frame) == (21, 14)
    [tracks] = t.step(frame(22))
    for object_id, x in ((1, 60), (2, 50)):
        xy = positions(tracks, object_id)[:8]
        assert (xy[:, 0] >= x).all()
        assert (xy[:, 0] < x + 10 + 8).all()


def test_a_removed_object_stays_so_and_one_that_took_its_id_gets_none_of_its_points():
    t = tracker()
    followed(t, 1, 2)
    background, worker = beside(t)
    background.add(seeds(7, 1, 2))
    t.remove(1)
    t.remove(2)
    t.add(box(2))
    run(t, [8])
    assert done(background, worker) == [7]
    [tracks] = t.step(frame(9))
    assert [(o.object_id, len(o.xy)) for o in tracks.objects] == [(2, 0)]
    assert not t.objects[2].has_mask


def test_points_of_a_frame_that_has_left_the_buffer_meanwhile_are_dropped():
    t = tracker()
    followed(t)
    background, worker = beside(t)
    background.add(seeds(7, 1))
    run(t, range(8, 24))
    assert done(background, worker) == [7]
    assert len(positions(t.step(frame(24))[0])) == 2


def test_points_of_frames_of_another_size_or_of_a_count_that_has_begun_again_are_dropped():
    for later in (
        [frame(8, size=(120, 160), epoch=1)],
        [frame(i, session=1) for i in range(8)],  # frame 7 is another one now
    ):
        t = tracker()
        followed(t)
        background, worker = beside(t)
        background.add(seeds(7, 1))
        for each in later:
            t.step(each)
        done(background, worker)
        assert not t.objects[1].has_mask
        assert len(t.objects[1].point_sets[0]) == 2


def test_a_decoder_that_is_restarted_meanwhile_is_given_the_objects_and_the_points_are_still_taken():
    t = tracker()
    followed(t)
    background, worker = beside(t)
    background.add(seeds(7, 1))
    t.decoder_restarted()
    [tracks] = t.step(frame(8))
    assert [p.object_id for p in tracks.prompts] == [1]
    done(background, worker)
    assert len(positions(t.step(frame(9))[0])) == 9


def test_a_mask_on_a_frame_that_a_prompt_named_wins_over_a_newer_one():
    t = tracker()
    followed(t, until_frame=15)
    background, worker = beside(t)
    background.add(seeds(0))
    background.add(seeds(7, 1))
    background.add(seeds(14, 1))
    t.prompt_on_frame(box(1, frame=FrameRef(session=0, frame_id=10)))
    assert [type(m) for m in t.take_past_prompts()] == [PromptOnFrame]
    background.add(seeds(10, 1, x=60))
    done(background, worker)
    assert done(background, worker) == [14, 10]
    assert t.objects[1].mask_frame == 10
    xy = positions(t.step(frame(15))[0])
    assert (xy[:8, 0] >= 60 + 5).all()


def test_an_object_that_has_points_gets_no_others_without_reinitialisation():
    t = tracker(reinit=False, link="visible")
    t.add(points(1))
    t.add(box(2))
    run(t, range(2))
    background, worker = beside(t)
    background.add(seeds(0, 1, 2))
    done(background, worker)
    [tracks] = t.step(frame(2))
    assert [len(positions(tracks, i)) for i in (1, 2)] == [2, 9]
    assert t.objects[1].has_mask


def test_what_goes_wrong_while_points_are_drawn_is_raised_in_the_node():
    def no_source(object_id: int, frame_id: int):
        raise ValueError("no random numbers")

    t = tracker()
    followed(t)
    t.sampler.random_sources = no_source
    background, worker = beside(t)
    background.add(seeds(7, 1))
    with pytest.raises(ValueError, match="no random numbers"):
        done(background, worker)


# --- the stage, with its thread ---


def test_a_live_stage_draws_the_points_of_a_finished_clip_on_its_thread_and_is_woken_for_them():
    drawn = {}
    for live in (False, True):
        stage, node = started(**(LIVE if live else {}))
        threads: list[str] = []
        sampler = stage.tracker.sampler
        own = sampler.random_sources
        sampler.random_sources = lambda o, f, own=own, threads=threads: (
            threads.append(threading.current_thread().name),
            own(o, f),
        )[1]
        stage.handle_command(masked())
        node.give(stage, noise(0))
        node.give(stage, noise_seeds(0, 1))
        if live:
            until(lambda node=node: node.wakes, "points that are drawn")
        node.give(stage, noise(1))
        [tracks] = [t for t in node.take(Tracks) if t.frame.stamp.frame_id == 1]
        drawn[live] = tracks.objects[0].drawn_xy
        assert all((name == "tracker-points") == live for name in threads)
        assert len(threads) == 1
    assert len(drawn[True]) == 9
    assert np.array_equal(drawn[True], drawn[False])


def test_a_window_may_last_as_long_as_its_masks_and_their_points_take():
    stage, node = started(**LIVE)
    stage.handle_command(masked())
    for i in range(8):
        node.time_s = i * 0.04
        node.give(stage, noise(i))
        if i == 0:
            node.give(stage, noise_seeds(0, 1))
            until(lambda: (stage.on_idle(), not stage.background.busy)[1], "the first points")
    assert stage.pacer.awaited_masks == (7, node.time_s)
    held = HeldWorker()
    stage.background.worker = held
    node.give(stage, noise_seeds(7, 1))
    assert stage.pacer.awaited_masks is not None
    node.time_s += 0.5
    held.finish()
    stage.on_idle()
    assert (stage.pacer.awaited_masks, round(stage.pacer.masks_s, 3)) == (None, 0.5)
