"""A feed answered at once by a model that is slower than it: jobs finish when the test says so."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.budget import Budget
from nodes.decoder.live_segmentation import LiveSegmenter
from nodes.decoder.mask_model import Logits
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.errors import ModelError
from stream.messages import Frame, Masks, ObjectTrack, Prompt, Seeds, Stamp, Tracks

SIZE = (60, 80)
PERIOD_NS = 40_000_000


class Squares:
    """An object is the square of 10 px round the mean of its points."""

    refinement_passes = 12
    passes = 14

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.broken = False

    def encode(self, rgb):
        if self.broken:
            raise ModelError("out of memory")
        self.asked.append(int(rgb[0, 0, 0]))
        return rgb.shape[:2]

    def decode(self, embedding, queries):
        return [self._square(q.track.xy.mean(axis=0) if len(q.track.xy) else (40, 30)) for q in queries]

    def _square(self, centre):
        x, y = (int(v) - 5 for v in centre)
        return Logits((x, y, 10, 10), np.ones((10, 10), np.float32), 0.9)

    def learn(self, embedding, verdicts): ...
    def forget(self, object_id): ...
    def resize(self, old_size, new_size): ...


class Hand:
    """A worker whose job is done at once and ready when `finish` is called."""

    def __init__(self) -> None:
        self.outcome = None
        self.ready = False
        self.waits: list[float] = []
        self.quick = False  # every job is ready for whoever waits

    @property
    def busy(self):
        return self.outcome is not None

    def start(self, job):
        assert not self.busy
        self.ready = False
        try:
            self.outcome = (job(), None)
        except ModelError as error:
            self.outcome = (None, error)

    def take(self, wait_s=0.0):
        self.waits.append(wait_s)
        if self.outcome is None or not (self.ready or (self.quick and wait_s > 0)):
            return None
        outcome, self.outcome = self.outcome, None
        return outcome

    def finish(self):
        self.ready = True


class Clock:
    """Each look at it takes `tick_ms`: an encode costs one look, and so does a decode."""

    def __init__(self, tick_ms: float) -> None:
        self.now, self.tick_ns = 10**12, int(tick_ms * 1e6)

    def __call__(self) -> int:
        self.now += self.tick_ns
        return self.now


def live(tick_ms: float = 500.0) -> LiveSegmenter:
    model = Squares()
    return LiveSegmenter(Segmenter(model), model, Budget(period_ms=0.0, passes=12), Hand(), Clock(tick_ms))


def xy_at(i: int):
    return np.array([[20 + i, 20], [30 + i, 20], [20 + i, 30], [30 + i, 30]], np.float32)


def tracks(i: int, *ids: int, due=(), prompts=(), points_id=1, drawn_id=-1, drawn_xy=None, size=SIZE) -> Tracks:
    stamp = Stamp(camera="c", session=0, frame_id=i, captured_ns=i * PERIOD_NS, captured_unix_ns=0)
    objects = tuple(
        ObjectTrack(
            object_id=o,
            xy=xy_at(i) + np.array([0, 11 * (o - 1)], np.float32),  # side by side: masks exclude each other
            visibility=np.ones(4, np.float32),
            labels=np.ones(4, np.uint8),
            points_id=points_id,
            drawn_id=drawn_id,
            drawn_xy=drawn_xy,
        )
        for o in ids
    )
    frame = Frame(stamp=stamp, rgb=np.full((*size, 3), i, np.uint8))
    return Tracks(frame=frame, objects=objects, due=tuple(due), prompts=tuple(prompts))


def add(object_id: int = 1) -> Prompt:
    return Prompt(object_id=object_id, xy=xy_at(0), labels=np.ones(4, np.uint8))


def masks(messages) -> Masks:
    [found] = [m for m in messages if isinstance(m, Masks)]
    return found


def seeds(messages) -> list[Seeds]:
    return [m for m in messages if isinstance(m, Seeds)]


def left_of(message: Masks) -> int:
    return message.objects[0].bbox[0]


def test_every_frame_is_answered_while_the_model_is_at_work():
    d = live()
    answers = [masks(d.step(tracks(0, 1, prompts=[add()])))]
    answers += [masks(d.step(tracks(i, 1))) for i in range(1, 6)]
    assert [m.stamp.frame_id for m in answers] == list(range(6))
    assert {m.objects[0].origin for m in answers} == {"propagated"}
    assert {m.objects[0].state for m in answers} == {"uncertain"}  # nobody has seen its mask yet
    assert d.model.asked == [0]


def test_masks_that_come_late_are_carried_to_the_newest_frame():
    d = live()
    for i in range(4):
        d.step(tracks(i, 1, prompts=[add()] if i == 0 else []))
    d.worker.finish()
    answer = masks(d.step(tracks(4, 1)))
    assert left_of(answer) == 20 + 4  # decoded at 20 on frame 0
    assert answer.objects[0].state == "tracked"
    assert answer.objects[0].origin == "propagated"
    assert answer.objects[0].area == 100


def test_the_seeds_of_a_late_boundary_name_its_own_frame():
    d = live()
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    assert [s.frame_id for s in d.collect()] == [0]
    d.step(tracks(7, 1, due=[1]))
    for i in range(8, 12):
        assert not seeds(d.step(tracks(i, 1)))
    d.worker.finish()
    [late] = seeds(d.step(tracks(12, 1)))
    assert late.frame_id == 7
    assert late.objects[0].bbox[0] == 20 + 7


def test_points_drawn_on_the_decoded_frame_carry_its_mask():
    d = live()
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    list(d.collect())
    answer = masks(d.step(tracks(6, 1, points_id=2, drawn_id=0, drawn_xy=xy_at(0))))
    assert left_of(answer) == 20 + 6


def test_a_boundary_waits_for_the_model_and_only_the_newest_does():
    d = live()
    d.step(tracks(0, 1, prompts=[add()]))
    for i in (7, 14, 21):
        d.step(tracks(i, 1, due=[1]))
    assert len(d.waiting) == 1
    d.worker.finish()
    list(d.collect())
    assert d.model.asked == [0, 21]


def test_no_prompt_is_ever_left_out():
    d = live()
    for i in range(3):
        d.step(tracks(i, *range(1, i + 2), prompts=[add(i + 1)]))
    d.step(tracks(7, 1, 2, 3, due=[1, 2, 3]))
    answered = []
    for _ in range(4):
        d.worker.finish()
        answered += [o.object_id for s in d.collect() for o in s.objects]
    assert d.model.asked == [0, 1, 2, 7]
    assert {1, 2, 3} <= set(answered)


def test_a_model_that_keeps_up_is_waited_for():
    d = live(tick_ms=2.0)
    d.worker.quick = True
    answers = [masks(d.step(tracks(i, 1, prompts=[add()] if i == 0 else []))) for i in range(10)]
    assert {m.objects[0].origin for m in answers} == {"decoded"}
    assert [left_of(m) for m in answers] == [20 + i for i in range(10)]


def test_a_dear_model_is_never_waited_for_once_its_cost_is_known():
    d = live(tick_ms=500.0)
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    list(d.collect())
    d.worker.waits.clear()
    for i in range(1, 30):
        d.step(tracks(i, 1, due=[1] if i % 7 == 0 else []))
        d.worker.finish()
    assert max(d.worker.waits) == 0


def test_a_mask_that_the_user_gives_is_shown_before_the_model_has_seen_it():
    d = live()
    given = np.zeros(SIZE, np.uint8)
    given[10:20, 10:30] = 1
    answer = masks(d.step(tracks(0, 1, prompts=[Prompt(object_id=1, mask=given)])))
    o = answer.objects[0]
    np.testing.assert_array_equal(uncrop_mask(o.bbox, o.mask, SIZE), given)


def test_a_model_without_an_answer_is_counted_and_its_prompts_are_obeyed_later():
    d = live()
    d.model.broken = True
    d.step(tracks(0, 1, prompts=[add()]))
    d.worker.finish()
    d.model.broken = False
    assert [s.objects for s in d.collect()] == [()]
    assert d.segmenter.failed == 1
    d.step(tracks(7, 1, due=[1]))
    d.worker.finish()
    [answer] = d.collect()
    assert answer.objects[0].object_id == 1


def test_a_removed_object_does_not_come_back_with_a_late_answer():
    d = live()
    d.step(tracks(0, 1, 2, prompts=[add(1), add(2)]))
    d.step(tracks(1, 2))
    d.worker.finish()
    answer = d.step(tracks(2, 2))
    assert [o.object_id for o in masks(answer).objects] == [2]
    assert [o.object_id for s in seeds(answer) for o in s.objects] == [2]


def test_an_answer_for_another_frame_size_is_not_shown():
    d = live()
    d.step(tracks(0, 1, prompts=[add()]))
    d.step(tracks(1, 1, size=(120, 160)))
    d.worker.finish()
    answer = d.step(tracks(2, 1, size=(120, 160)))
    assert masks(answer).objects[0].area == 0
    assert masks(answer).size == (120, 160)


@pytest.mark.parametrize("frames", [200])
def test_what_waits_is_bounded_on_a_long_feed(frames):
    d = live()
    for i in range(frames):
        d.step(tracks(i, 1, due=[1] if i % 7 == 6 else [], prompts=[add()] if i == 0 else []))
    assert len(d.waiting) <= 2
    assert len(d.carrier.objects) <= 1
