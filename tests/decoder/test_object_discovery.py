"""When the decoder looks for objects that nobody asked for."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.test_live_segmentation import SIZE, add, live, masks, seeds, tracks
from msgspec.structs import replace

from nodes.decoder.object_discovery import ObjectDiscovery
from stream.errors import ModelError
from stream.messages import Masks
from stream.reports import Proposal

HORIZON = 8
THING = Proposal(bbox=(1, 1, 8, 2), bits=np.full(2, 255, np.uint8), score=0.9, inside=(3, 2))


class Search:
    """Three slices, and one thing found."""

    def __init__(self, broken: bool = False) -> None:
        self.slices, self.broken = 0, broken

    def step(self):
        if self.broken:
            raise ModelError("out of memory")
        self.slices += 1
        return self.slices == 3

    def found(self):
        return () if self.broken else (THING,)


class Watch:
    """A discovery with what it began and what it told."""

    def __init__(self, most=3, again=False, broken=False) -> None:
        self.began, self.told = [], []

        def begin(frame, covered, room):
            self.began.append((frame.stamp.frame_id, covered, room))
            return Search(broken)

        def tell(asked, objects):
            self.told.append((asked.frame.stamp.frame_id, len(objects)))

        self.discovery = ObjectDiscovery(begin, tell, most, again, HORIZON)

    def look(self, asked, known=None):
        """Look, and search to the end where there is a search."""
        task = self.discovery.look(asked, known)
        if task is not None:
            while not task.step():
                pass
            task.finish()
        return task is not None


def no_masks(asked) -> Masks:
    return Masks(stamp=asked.frame.stamp, size=asked.frame.size)


def test_the_first_frame_is_looked_at_when_the_tracker_says_so_and_never_again():
    w = Watch()
    assert w.look(replace(tracks(0), survey=True))
    assert not any(w.look(tracks(i, due=[1] if i % 7 == 0 else [])) for i in range(1, 40))
    assert w.began == [(0, None, 3)]
    assert w.told == [(0, 1)]


def test_boundaries_are_looked_at_for_what_no_object_covers_while_there_are_too_few():
    w = Watch(most=3, again=True)
    looked = [i for i in range(40) if w.look(tracks(i, 1, due=[1] if i % 7 == 0 else []), no_masks(tracks(i)))]
    assert looked == [7, 21, 35]  # not the one right after: what was found has to come back as objects
    assert w.began[0][2] == 2
    assert not w.look(tracks(49, 1, 2, 3, due=[1]), no_masks(tracks(49)))


def test_a_feed_without_any_object_is_looked_at_again_though_it_has_no_boundary():
    w = Watch(again=True)
    w.look(replace(tracks(0), survey=True))
    assert [i for i in range(1, 20) if w.look(tracks(i))] == [8, 16]


def test_masks_that_are_known_are_told_to_the_search():
    d, w = live(tick_ms=2.0), Watch(again=True)
    d.worker.quick = True
    known = masks(d.step(tracks(0, 1, prompts=[add()])))
    w.discovery.since = HORIZON
    assert w.look(tracks(0, 1, due=[1]), known)
    covered = w.began[0][1]
    assert covered.shape == SIZE
    assert covered.sum() == known.objects[0].area == 100


def test_a_model_without_an_answer_ends_the_search_and_that_is_told():
    w = Watch(broken=True)
    assert w.look(replace(tracks(0), survey=True))
    assert w.told == [(0, 0)]


def test_one_search_at_a_time():
    w = Watch(again=True)
    assert w.discovery.look(replace(tracks(0), survey=True), None)
    assert not any(w.look(tracks(i, 1, due=[1])) for i in range(1, 30))


# --- beside a live feed -----------------------------------------------------------------------------------------------


def finish(d):
    """Let whatever the model is at be done."""
    d.worker.finish()
    return list(d.collect())


def test_a_live_feed_goes_on_while_a_search_takes_its_slices():
    d, w = live(), Watch()
    asked = replace(tracks(0), survey=True)
    first = d.step(asked)
    d.run(w.discovery.look(asked, masks(first)))
    answers = []
    for i in range(1, 6):
        answers.append(masks(d.step(tracks(i))))
        if i > 2:
            finish(d)
    assert [m.stamp.frame_id for m in answers] == [1, 2, 3, 4, 5]
    assert w.told == [(0, 1)]
    assert not d.worker.busy


def test_a_prompt_comes_before_the_next_slice_of_a_search():
    d, w = live(), Watch()
    asked = replace(tracks(0), survey=True)
    d.step(asked)
    d.run(w.discovery.look(asked, None))
    d.step(tracks(1, 1, prompts=[add()]))
    finish(d)
    assert d.running is not None
    assert w.told == []
    found = finish(d)
    assert [s.frame_id for s in seeds(found)] == [1]
    finish(d), finish(d)
    assert w.told == [(0, 1)]


@pytest.mark.parametrize("slices", [3])
def test_a_search_begun_while_the_model_is_at_work_waits_for_it(slices):
    d, w = live(), Watch()
    asked = tracks(0, 1, prompts=[add()])
    d.step(asked)
    d.run(w.discovery.look(replace(asked, survey=True), None))
    assert d.running is not None
    finish(d)
    assert d.running is None
    for _ in range(slices):
        assert w.told == []
        finish(d)
    assert w.told == [(0, 1)]
