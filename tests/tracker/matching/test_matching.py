"""Matching as a point model: a frame is matched with the one that points were drawn on, and points are drawn anew."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from tracker.matching.matched_pictures import OBJECT, SIZE, ColourMatcher, grid, mask, picture

from nodes.tracker.matching.model import MatchingModel
from nodes.tracker.matching.regions import Region, draw
from nodes.tracker.point_model import Points, RegionModel
from nodes.tracker.point_set import new_point_set
from nodes.tracker.tracking import PointTracker
from stream.crops import crop_mask
from stream.errors import ConfigError, ModelError
from stream.messages import Frame, Prompt, Seed, Seeds, Stamp, Tracks
from stream.settings.options import TrackerOptions

MOVED = {tuple(grid()[i]): np.array(grid()[i]) for i in OBJECT}
LABELS = np.array([1, 1, 1, 0, 0], np.uint8)
XY = np.array([[34, 20], [40, 26], [46, 32], [10, 8], [70, 44]], np.float32)


def model(**keys) -> MatchingModel:
    return MatchingModel(ColourMatcher(), seed=72, **keys)


def of_region(net, features, labels=LABELS, object_id=1) -> Points:
    """Points drawn from the object's mask on a frame."""
    xy = XY[: len(labels)]
    return Points(
        xy, labels, np.full(len(xy), object_id, np.int32), net.describe_region(features, xy, mask(features.frame_size))
    )


def test_points_of_a_mask_are_drawn_among_the_matches_that_began_in_it():
    net = model()
    before, after = net.encode(picture()), net.encode(picture((5, 3)))
    tracked = net.track([before, after], of_region(net, before), None)
    np.testing.assert_array_equal(tracked.xy[0], XY)
    positives = {tuple(p) for p in (tracked.xy[1, :3] - (5, 3)).astype(int)}
    assert positives <= set(MOVED)
    others = {tuple(p) for p in tracked.xy[1, 3:].astype(int)}
    assert others <= set(grid()) - set(MOVED)
    np.testing.assert_array_equal(tracked.visibility, np.ones((2, 5)))


def test_by_the_rule_of_the_paper_those_count_that_end_in_it():
    net = model(match_end="target")
    before, away = net.encode(picture()), net.encode(picture((24, 24)))
    tracked = net.track([before, away], of_region(net, before), None)
    np.testing.assert_array_equal(tracked.xy[1, :3], -np.ones((3, 2)))  # nothing of the object is where it was
    np.testing.assert_array_equal(tracked.visibility[1], [0, 0, 0, 1, 1])


def test_missing_points_are_at_the_end_of_the_positives_and_of_the_negatives():
    net = model()
    before, after = net.encode(picture()), net.encode(picture(without=OBJECT[1:]))
    tracked = net.track([before, after], of_region(net, before), None)
    np.testing.assert_array_equal(tracked.visibility[1], [1, 0, 0, 1, 1])
    np.testing.assert_array_equal(tracked.xy[1, :3], [grid()[OBJECT[0]], (-1, -1), (-1, -1)])


def test_as_many_are_drawn_as_there_are_and_some_may_be_drawn_twice():
    pool = np.array([[1, 1], [2, 2], [3, 3], [9, 9]], np.float32)
    asked = []

    def choose(n, k):
        asked.append((n, k))
        return np.zeros(k, int)

    xy, visibility = draw(pool, np.array([1, 1, 1, 0], bool), np.array([0, 1, 1, 0], np.uint8), choose)
    assert asked == [(3, 2), (1, 1)]  # positives first
    np.testing.assert_array_equal(xy, [[9, 9], [1, 1], [1, 1], [-1, -1]])
    np.testing.assert_array_equal(visibility, [1, 1, 1, 0])


def test_a_region_knows_its_pixels_and_an_empty_one_has_none():
    region = Region(mask())
    np.testing.assert_array_equal(
        region.contains(np.array([[32, 18], [48.4, 34.4], [49, 34], [-5, 900]])), [1, 1, 0, 0]
    )
    assert not Region(np.zeros((4, 4), np.uint8)).contains(np.array([[1, 1]])).any()


def test_draws_depend_on_object_pictures_and_seed_alone():
    net = model()
    before, after = net.encode(picture()), net.encode(picture((5, 3)))

    def drawn(net, before, after, object_id=1):
        return net.track([before, after], of_region(net, before, object_id=object_id), None).xy[1].tolist()

    first = drawn(net, before, after)
    other = MatchingModel(ColourMatcher(), seed=72)
    assert drawn(other, other.encode(picture()), other.encode(picture((5, 3)))) == first
    assert any(drawn(net, before, after, object_id) != first for object_id in range(2, 6))
    assert any(drawn(MatchingModel(ColourMatcher(), seed=seed), before, after) != first for seed in range(5))


def test_a_frame_is_encoded_once_and_two_are_matched_once_however_many_want_it():
    net = model()
    frames = [net.encode(picture((i, 0))) for i in range(4)]
    points = of_region(net, frames[0])
    answer = None
    for end in range(1, 5):
        answer = net.track(frames[:end], points, answer)
    whole = net.track(frames, points, None)
    np.testing.assert_array_equal(answer.xy, whole.xy)
    net.track(frames, of_region(net, frames[0], object_id=2), None)
    assert (net.encoded_frames, net.matched_pairs) == (4, 3)
    assert (net.matcher.detected, net.matcher.matched) == (4, 3)


def test_matches_are_forgotten_with_their_reference_frame():
    net = model()
    before, after = net.encode(picture()), net.encode(picture((1, 0)))
    net.matched(before, after)
    assert len(after.matches) == 1
    del before
    gc.collect()
    assert len(after.matches) == 0


def test_a_point_that_the_user_gave_is_carried_by_the_nearest_match_and_hidden_where_none_is_near():
    net = model()
    before, after = net.encode(picture()), net.encode(picture((5, 3)))
    xy = np.array([[33, 21], [20, 58]], np.float32)
    points = Points(xy, np.ones(2, np.uint8), np.ones(2, np.int32), net.describe(before, xy))
    tracked = net.track([before, after], points, None)
    np.testing.assert_array_equal(tracked.xy[1], [[38, 24], [20, 58]])
    np.testing.assert_array_equal(tracked.visibility[1], [1, 0])


def test_frames_are_fitted_and_points_stay_in_their_px():
    net = model(size=SIZE, smallest_px=16)
    big = np.kron(picture(), np.ones((2, 2, 1), np.uint8))
    features = net.encode(big)
    assert features.keypoints.size == SIZE
    assert features.frame_size == (120, 160)
    before, after = net.matched(features, net.encode(big))
    np.testing.assert_allclose(before, after)
    assert before.max() > 80  # frame px
    with pytest.raises(ConfigError, match="needs 200 or more"):
        model(smallest_px=200).encode(picture())


def test_no_points_are_no_trouble_and_one_that_is_nowhere_is_refused():
    net = model()
    features = [net.encode(picture()) for _ in range(2)]
    nothing = Points(np.zeros((0, 2)), np.zeros(0, np.uint8), np.zeros(0, np.int32), net.describe(features[0], XY[:0]))
    assert net.track(features, nothing, None).xy.shape == (2, 0, 2)
    assert net.matched_pairs == 0
    with pytest.raises(ModelError, match="NaN"):
        net.describe(features[0], np.array([[np.nan, 1]]))


# --- in the tracker ---------------------------------------------------------------------------------------------------


def frame(i, rgb):
    stamp = Stamp(camera="c", session=0, frame_id=i, captured_ns=40_000_000 * i, captured_unix_ns=i)
    return Frame(stamp=stamp, rgb=rgb)


def seeds(i, object_id, drawn):
    box, crop = crop_mask(drawn)
    seed = Seed(object_id=object_id, bbox=box, mask=crop)
    return Seeds(frame_id=i, epoch=0, size=drawn.shape, objects=(seed,))


def run(tracker, frames, shown):
    """The tracker's Tracks; the decoder answers at once with the mask of `shown`, on frames that ask for it."""
    answers = []
    for i, rgb in enumerate(frames):
        for tracks in (a for a in tracker.step(frame(i, rgb)) if isinstance(a, Tracks)):
            answers.append(tracks)
            for object_id in tracks.seeds_for:
                tracker.reseed(seeds(tracks.frame.stamp.frame_id, object_id, shown))
    answers += [a for a in tracker.flush() if isinstance(a, Tracks)]
    return answers


def options(**keys) -> TrackerOptions:
    return TrackerOptions(**{"reinit": False, "link": "visible", "positive_points": 3, "negative_points": 2, **keys})


@pytest.mark.parametrize("keys", [{}, {"emit": "horizon"}, {"horizon": 3}, {"horizon": 3, "emit": "horizon"}])
def test_the_live_tracker_says_exactly_what_the_offline_one_says(keys):
    frames = [picture((2 * i, i)) for i in range(9)]
    tracker = PointTracker(model(), options(**keys))
    tracker.add(Prompt(object_id=4, mask=mask()))
    answers = run(tracker, frames, mask())
    assert [a.frame.stamp.frame_id for a in answers] == list(range(9))
    drawn = answers[1].objects[0]
    net = model()
    features = [net.encode(rgb) for rgb in frames]
    labels = drawn.labels
    xy = np.zeros((len(labels), 2), np.float32)
    points = Points(xy, labels, np.full(len(labels), 4, np.int32), net.describe_region(features[0], xy, mask()))
    offline = net.track(features, points, None)
    for i, tracks in enumerate(answers[1:], start=1):
        np.testing.assert_array_equal(tracks.objects[0].xy, offline.xy[i])


def test_a_clicked_object_is_followed_by_its_region_as_soon_as_there_is_a_mask_of_it():
    frames = [picture((i, 0)) for i in range(6)]
    tracker = PointTracker(model(), options())
    tracker.add(Prompt(object_id=1, xy=np.array([[40, 26]], np.float32), labels=np.ones(1, np.uint8)))
    tracks = run(tracker, frames, mask())
    assert [len(t.objects[0].xy) for t in tracks] == [1, 5, 5, 5, 5, 5]
    tracker.refine(Prompt(object_id=1, kind="refine", xy=np.array([[10, 8]], np.float32), labels=np.zeros(1, np.uint8)))
    [answer] = tracker.step(frame(6, frames[-1]))
    assert len(answer.objects[0].xy) == 6
    tracker.reseed(seeds(6, 1, mask()))
    [answer] = tracker.step(frame(7, frames[-1]))
    assert len(answer.objects[0].xy) == 5
    tracker.remove(1)
    assert tracker.step(frame(8, frames[-1]))[0].objects == ()


def test_rows_that_are_other_points_on_each_frame_do_not_say_that_they_are_the_same():
    tracker = PointTracker(model(), options())
    tracker.add(Prompt(object_id=1, mask=mask()))
    tracks = run(tracker, [picture((i, 0)) for i in range(5)], mask())[1:]
    assert len({t.objects[0].points_id for t in tracks}) == len(tracks)
    assert all(t.objects[0].drawn_id == -1 for t in tracks)


def test_a_new_frame_size_ends_the_region_until_there_is_another_mask():
    tracker = PointTracker(model(), options())
    tracker.add(Prompt(object_id=1, mask=mask()))
    run(tracker, [picture((i, 0)) for i in range(3)], mask())
    large = picture(size=(70, 90))
    [answer] = tracker.step(frame(3, large))
    assert 1 in answer.seeds_for
    assert len(answer.objects[0].xy) == 5
    tracker.reseed(seeds(3, 1, mask((70, 90))))
    [answer] = tracker.step(frame(4, large))
    assert answer.objects[0].visibility[answer.objects[0].labels == 1].all()
    assert set(map(tuple, answer.objects[0].xy[:3].astype(int))) <= set(MOVED)


def test_nothing_grows_over_a_thousand_frames():
    net = model()
    tracker = PointTracker(net, options(horizon=4))
    tracker.add(Prompt(object_id=1, mask=mask()))
    frames = [picture((i % 7, i % 3)) for i in range(21)]
    run(tracker, frames, mask())
    gc.collect()
    held = len(gc.get_objects())
    for i in range(21, 1021):
        if i % 100 == 50:
            tracker.add(Prompt(object_id=2, mask=mask()))
        if i % 100 == 90:
            tracker.remove(2)
        for tracks in tracker.step(frame(i, frames[i % 21])):
            for object_id in tracks.seeds_for:
                tracker.reseed(seeds(i, object_id, mask()))
    gc.collect()
    assert len(gc.get_objects()) < held + 500
    assert net.encoded_frames == 1021


def test_a_model_of_single_points_is_no_region_model():
    assert isinstance(model(), RegionModel)
    net = model()
    features = net.encode(picture())
    assert new_point_set(net, 0, features, 1, XY, LABELS, mask=mask()).of_region.all()
    assert not new_point_set(net, 0, features, 1, XY, LABELS).of_region.any()
