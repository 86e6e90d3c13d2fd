"""Linking by visibility (PIPS' rule), online and over a finished clip, with a model whose visibility is scripted."""

from __future__ import annotations

import numpy as np
import pytest
from tracker.drifting_points import frame, points

from nodes.tracker.point_model import Trajectories
from nodes.tracker.tracking import PointTracker
from stream.messages import Prompt
from stream.settings.options import TrackerOptions
from tools.offline.chaining import chain, two_way

HORIZON = 8


class Winding:
    """A point's path and visibility depend on where its window starts, on the frames in it and on the point itself.

    So two runs agree only when they are the same windows. A short window is not padded: it has its own answer.
    """

    def __init__(self) -> None:
        self.runs: list[tuple[int, int, int]] = []  # first frame, frames, points

    def encode(self, rgb):
        return int(rgb[0, 0, 0])

    def describe(self, features, xy):
        return np.asarray(xy, np.float32)

    def relink(self, descriptors, features, xy, visibility):
        return descriptors

    def link(self, visibility):
        clear = visibility[1:] > 0.5
        last = len(clear) - np.argmax(clear[::-1], axis=0)
        return np.where(clear.any(axis=0), last, 1)

    def track(self, window, points, earlier):
        self.runs.append((window[0], len(window), len(points)))
        shape = (len(window), len(points))
        frames = np.array(window, np.float32)[:, None]
        xy = points.xy[None] + np.stack(
            [np.broadcast_to(frames - window[0], shape), np.broadcast_to(np.sin(frames * (window[0] + 1)), shape)], -1
        )
        xy[0] = points.xy
        phase = points.descriptors.sum(axis=1)[None] + 7 * frames + 3 * window[0] + len(window)
        return Trajectories(xy.astype(np.float32), (np.sin(phase) * 0.5 + 0.5).astype(np.float32))


def clip(frames: int):
    return list(range(frames))


def xy_of(n: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(15, 45, (n, 2)).astype(np.float32)


def scripted(**options) -> PointTracker:
    return PointTracker(Winding(), TrackerOptions(**options))


def test_each_point_goes_on_from_the_last_frame_that_shows_it_clearly():
    done = chain(Winding(), clip(20), np.zeros(6, int), xy_of(6))
    for point in range(6):
        links = [link for link in done.links if link[1] == point]
        assert links[0][0] == 0
        assert links[-1][2] == 19
        assert [a[2] for a in links[:-1]] == [b[0] for b in links[1:]]
        assert all(real == min(HORIZON, 20 - start) for start, _, _, real in links)


def test_points_that_share_a_frame_share_a_run():
    model = Winding()
    chain(model, clip(8), np.zeros(5, int), xy_of(5))
    assert model.runs[0] == (0, 8, 5)


def test_without_reinit_the_live_tracker_settles_where_the_offline_chain_does():
    n, frames = 6, 30
    offline = chain(Winding(), clip(frames + 8), np.zeros(n, int), xy_of(n))
    live = scripted(reinit=False, link="visible")
    live.add(Prompt(object_id=1, xy=xy_of(n), labels=np.ones(n, np.uint8)))
    compared = 0
    for i in range(frames):
        live.step(frame(i))
        [point_set] = live.objects[1].point_sets
        for point, anchor in enumerate(point_set.anchors):
            links = [to for _, p, to, _ in offline.links if p == point] + [0]
            assert anchor in links
            for settled in (f for f in point_set.path if f <= anchor):
                np.testing.assert_allclose(point_set.path[settled][0][point], offline.xy[settled, point])
                compared += 1
    assert compared > 500


def test_emit_horizon_without_reinit_gives_out_what_no_later_window_revises():
    n, frames = 6, 40
    offline = chain(Winding(), clip(frames), np.zeros(n, int), xy_of(n))
    live = scripted(reinit=False, link="visible", emit="horizon")
    live.add(Prompt(object_id=1, xy=xy_of(n), labels=np.ones(n, np.uint8)))
    tracks = [t for i in range(frames) for t in live.step(frame(i))]
    assert all(len(live.pending) <= HORIZON for _ in tracks)
    tracks += live.flush()
    assert [t.frame.stamp.frame_id for t in tracks] == list(range(frames))
    for t in tracks:
        np.testing.assert_allclose(t.objects[0].xy, offline.xy[t.frame.stamp.frame_id], err_msg=str(t.frame.stamp))


def test_linking_inside_each_horizon_equals_the_chain_over_that_horizon():
    n = 5
    offline = chain(Winding(), clip(8), np.zeros(n, int), xy_of(n))
    live = scripted(reinit=True, link="visible", emit="horizon")
    live.add(Prompt(object_id=1, xy=xy_of(n), labels=np.ones(n, np.uint8)))
    tracks = [t for i in range(8) for t in live.step(frame(i))]
    for t in tracks[1:]:
        np.testing.assert_allclose(t.objects[0].xy, offline.xy[t.frame.stamp.frame_id])
    assert set(live.objects[1].point_sets[0].anchors.tolist()) == {7}


@pytest.mark.parametrize("emit", ["frame", "horizon"])
def test_objects_given_at_different_frames_share_runs_as_soon_as_their_anchors_meet(emit):
    live = scripted(emit=emit)
    live.add(points(1))
    for i in range(4):
        live.step(frame(i))
    live.add(points(2, ((30, 30),)))
    for i in range(4, 15):
        live.step(frame(i))
    assert live.model.runs[-1] == (7, 8, 3)


def test_two_ways_of_a_clip_meet_in_the_query_frame():
    frames, queries = np.array([0, 7, 19]), xy_of(3)
    both, backward = two_way(Winding(), clip(20), frames, queries)
    for point, (start, xy) in enumerate(zip(frames, queries, strict=True)):
        np.testing.assert_array_equal(both.xy[start, point], xy)
        assert both.probability[start, point] == 1
    assert {link[1] for link in backward} == {1, 2}
    assert {link[1] for link in both.links} == {0, 1}
