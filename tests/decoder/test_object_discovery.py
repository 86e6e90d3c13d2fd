"""When the decoder looks for objects that nobody asked for."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.live_feed import SIZE, add, live, masks, seeds, tracks

from nodes.decoder.object_discovery import ObjectDiscovery
from stream.errors import ModelError
from stream.messages import DiscoverObjects, Masks
from stream.reports import Proposal
from stream.settings.options import DiscoveryOptions

HORIZON = 8
THING = Proposal(bbox=(1, 1, 8, 2), bits=np.full(2, 255, np.uint8), score=0.9, inside=(3, 2))


class ThreeSlices:
    """A search of three slices that finds one thing."""

    def __init__(self, broken: bool = False) -> None:
        self.slices, self.broken = 0, broken

    def step(self):
        if self.broken:
            raise ModelError("out of memory")
        self.slices += 1
        return self.slices == 3

    def found(self):
        return () if self.broken else (THING,)


class Watched:
    """A discovery, the searches that it began, and what it reported: frame ids, and how many objects."""

    def __init__(self, most=3, again=False, broken=False) -> None:
        self.began, self.reports = [], []

        def begin(frame, covered, room):
            self.began.append((frame.stamp.frame_id, covered, room))
            return ThreeSlices(broken)

        self.discovery = ObjectDiscovery(begin, self.reports.append, DiscoveryOptions(most, again, HORIZON))

    @property
    def found(self):
        return [(report.frame_id, len(report.objects)) for report in self.reports]

    def request(self, i: int):
        """The tracker asks for a search on a frame; to the end."""
        return finished(self.discovery.requested(request(i)))

    def consider(self, i: int, *ids: int, ended=()):
        """A frame with its masks goes by; search to the end where there is a search."""
        return finished(self.discovery.consider(tracks(i, *ids, ended=ended), no_masks(i)))


def finished(task) -> bool:
    if task is not None:
        while not task.step():
            pass
        task.finish()
    return task is not None


def request(i: int, following: int = 0) -> DiscoverObjects:
    return DiscoverObjects(frame=tracks(i).frame, following=following)


def no_masks(i: int) -> Masks:
    return Masks(stamp=tracks(i).frame.stamp, size=SIZE)


def test_a_frame_is_searched_when_the_tracker_asks_for_it_and_no_other_one():
    w = Watched()
    assert w.request(0)
    assert not any(w.consider(i, ended=[1] if i % 7 == 0 else []) for i in range(1, 40))
    assert w.began == [(0, None, 3)]
    assert w.found == [(0, 1)]
    assert [report.requested for report in w.reports] == [True]


def test_boundaries_are_searched_for_what_no_object_covers_while_there_are_too_few():
    w = Watched(most=3, again=True)
    searched = [i for i in range(40) if w.consider(i, 1, ended=[1] if i % 7 == 0 else [])]
    assert searched == [7, 21, 35]  # not the one right after: what was found has to come back as objects
    assert w.began[0][2] == 2
    assert not any(report.requested for report in w.reports)
    assert not w.consider(49, 1, 2, 3, ended=[1])


def test_a_feed_without_any_object_is_searched_again_though_it_has_no_boundary():
    w = Watched(again=True)
    w.request(0)
    assert [i for i in range(1, 20) if w.consider(i)] == [8, 16]


def test_a_boundary_is_searched_where_no_mask_is():
    d, w = live(tick_ms=2.0), Watched(again=True)
    d.worker.quick = True
    published = masks(d.step(tracks(0, 1, prompts=[add()])))
    for i in range(1, HORIZON):
        w.consider(i, 1)
    assert finished(w.discovery.consider(tracks(0, 1, ended=[1]), published))
    covered = w.began[0][1]
    assert covered.shape == SIZE
    assert covered.sum() == published.objects[0].area == 100


def test_a_search_that_is_asked_for_leaves_out_the_masks_of_its_frame():
    d, w = live(tick_ms=2.0), Watched()
    d.worker.quick = True
    first = tracks(0, 1, prompts=[add()])
    w.discovery.consider(first, masks(d.step(first)))
    assert finished(w.discovery.requested(request(0, following=1)))
    [(_, covered, room)] = w.began
    assert (covered.sum(), room) == (100, 2)
    assert finished(w.discovery.requested(request(1)))
    assert w.began[1][1] is None  # those masks are of another frame


def test_where_there_are_objects_enough_nothing_is_searched():
    w = Watched(most=2)
    assert w.discovery.requested(request(0, following=2)) is None
    assert w.began == []


def test_a_model_without_an_answer_ends_the_search_and_that_is_reported():
    w = Watched(broken=True)
    assert w.request(0)
    assert w.found == [(0, 0)]


def test_one_search_at_a_time():
    w = Watched(again=True)
    assert w.discovery.requested(request(0))
    assert not any(w.consider(i, 1, ended=[1]) for i in range(1, 30))


# --- beside a live feed -----------------------------------------------------------------------------------------------


def finish(d):
    """Let whatever the model is at be done."""
    d.worker.finish()
    return list(d.collect())


def test_a_live_feed_goes_on_while_a_search_takes_its_slices():
    d, w = live(), Watched()
    d.step(tracks(0))
    d.run(w.discovery.requested(request(0)))
    answers = []
    for i in range(1, 6):
        answers.append(masks(d.step(tracks(i))))
        if i > 2:
            finish(d)
    assert [m.stamp.frame_id for m in answers] == [1, 2, 3, 4, 5]
    assert w.found == [(0, 1)]
    assert not d.worker.busy


def test_a_prompt_comes_before_the_next_slice_of_a_search():
    d, w = live(), Watched()
    d.step(tracks(0))
    d.run(w.discovery.requested(request(0)))
    d.step(tracks(1, 1, prompts=[add()]))
    finish(d)
    assert d.running is not None
    assert w.found == []
    answers = finish(d)
    assert [s.frame_id for s in seeds(answers)] == [1]
    finish(d), finish(d)
    assert w.found == [(0, 1)]


@pytest.mark.parametrize("slices", [3])
def test_a_search_begun_while_the_model_is_at_work_waits_for_it(slices):
    d, w = live(), Watched()
    d.step(tracks(0, 1, prompts=[add()]))
    d.run(w.discovery.requested(request(0)))
    assert d.running is not None
    finish(d)
    assert d.running is None
    for _ in range(slices):
        assert w.found == []
        finish(d)
    assert w.found == [(0, 1)]


def test_a_request_searches_any_frame_for_so_many_new_ones_whoever_is_followed_already():
    w = Watched(most=0)
    assert not any(w.consider(i, 1, ended=[1]) for i in range(20))
    wanted = DiscoverObjects(frame=tracks(20).frame, following=7, count=2)
    assert finished(w.discovery.requested(wanted))
    assert w.began == [(20, None, 2)]
    [report] = w.reports
    assert (report.frame_id, report.requested, report.count) == (20, False, 2)
