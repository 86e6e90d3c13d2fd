"""More objects than a frame has room for: each frame is answered with all of them."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.scripted_model import SIZE, ScriptedModel, tracks
from msgspec.structs import replace

from nodes.decoder.scheduling.detail import LEAST
from nodes.decoder.scheduling.turns import Turns
from nodes.decoder.segmentation import Segmenter
from nodes.decoder.turn_taking import TurnTaking
from stream.crops import uncrop_mask
from stream.errors import ModelError
from stream.messages import Masks, Prompt, Seeds, Tracks

N = 8
BOXES = {i: (8 * i, 10, 6, 6) for i in range(1, N + 1)}
STEP = np.array([[1, 0, 1], [0, 1, 0]], np.float64)  # a frame


class MovingModel(ScriptedModel):
    """Objects that move a px to the right on each frame; a decode sees them where they are."""

    def __init__(self) -> None:
        super().__init__(dict(BOXES), score=0.9)
        self.frames, self.absent, self.broken = -1, set(), False
        self.detail = 1.0
        self.decoded: list[list[int]] = []  # the objects of each frame
        self.carried: list[list[int]] = []

    def encode(self, rgb):
        self.frames += 1
        if self.broken:
            raise ModelError("out of memory")
        return self.frames

    def decode(self, embedding, queries):
        self.decoded.append([q.object_id for q in queries])
        return super().decode(embedding, queries)

    def answer(self, object_id):
        x, y, width, height = BOXES[object_id]
        self.boxes[object_id] = (x + self.frames, y, width, height)
        return super().answer(object_id)

    def is_absent(self, object_id):
        return object_id in self.absent

    def carry(self, embedding, object_ids, prompts, prompted):
        self.carried.append(list(object_ids))
        return dict.fromkeys(object_ids, STEP)


class SettledTurns(Turns):
    """As many places as a test says."""

    def __init__(self, places: int) -> None:
        super().__init__(places * 10.0)
        self.object_ms = 10.0

    def spent(self, fixed_ms, decode_ms, objects, prompted): ...


def taking(places: int = 2) -> TurnTaking:
    model = MovingModel()
    return TurnTaking(Segmenter(model), model, SettledTurns(places))


def adds(*ids: int) -> list[Prompt]:
    return [Prompt(object_id=i, box=(8.0 * i, 10, 8 * i + 5, 15)) for i in ids]


def masks(messages) -> Masks:
    [found] = [m for m in messages if isinstance(m, Masks)]
    return found


def seeds(messages) -> Seeds:
    [found] = [m for m in messages if isinstance(m, Seeds)]
    return found


IDS = tuple(range(1, N + 1))


def begun(places: int = 2) -> TurnTaking:
    t = taking(places)
    list(t.step(tracks(0, *IDS, prompts=adds(*IDS))))
    return t


def test_every_frame_shows_every_object_and_each_is_decoded_in_its_turn():
    t = begun()
    seen: set[int] = set()
    for i in range(1, 6):
        answer = masks(t.step(tracks(i, *IDS)))
        assert [o.object_id for o in answer.objects] == list(IDS)
        decoded = {o.object_id for o in answer.objects if o.origin == "decoded"}
        assert len(decoded) == 2
        seen |= decoded
    assert seen == set(IDS)


def at_25_fps(message: Tracks) -> Tracks:
    stamp = replace(message.frame.stamp, captured_ns=message.frame.stamp.frame_id * 40 * 10**6)
    return replace(message, frame=replace(message.frame, stamp=stamp))


def test_a_model_that_is_too_slow_for_its_feed_is_told_to_work_more_coarsely_and_prompts_do_not_count():
    now_ns, cost_ns = 0, 0

    class SlowModel(MovingModel):
        def encode(self, rgb):
            self.frames = 0  # nothing moves
            return self.frames

        def decode(self, embedding, queries):
            nonlocal now_ns
            now_ns += cost_ns
            return super().decode(embedding, queries)

    model = SlowModel()
    t = TurnTaking(Segmenter(model), model, SettledTurns(N), lambda: now_ns)
    cost_ns = 10**9
    list(t.step(at_25_fps(tracks(0, *IDS, prompts=adds(*IDS)))))
    details = []
    for i, cost_ms in enumerate((*[20] * 20, *[60] * 20, *[20] * 20), start=1):
        cost_ns = cost_ms * 10**6
        list(t.step(at_25_fps(tracks(i, *IDS))))
        details.append(model.detail)
    assert set(details[:20]) == {1.0}
    assert details[39] == LEAST
    assert details[-1] == 1.0


def test_a_mask_that_waits_moves_along_with_the_picture():
    t = begun()
    for i in range(1, 6):
        answer = masks(t.step(tracks(i, *IDS)))
        for o in answer.objects:
            x, y, width, height = BOXES[o.object_id]
            assert o.bbox == (x + i, y, min(width, SIZE[1] - x - i), height)
            assert o.state == "tracked"


def test_all_are_decoded_by_the_plain_way_where_all_have_a_place():
    t = begun(places=N)
    answer = masks(t.step(tracks(1, *IDS)))
    assert {o.origin for o in answer.objects} == {"decoded"}
    assert t.model.carried == []


def test_masks_exclude_each_other_whether_decoded_or_carried():
    t = begun()
    for i in BOXES:
        t.model.boxes[i] = (10, 10, 30, 30)
    t.model.answer = lambda object_id: ScriptedModel.answer(t.model, object_id)
    for i in range(1, 9):
        answer = masks(t.step(tracks(i, *IDS)))
        assert np.sum([uncrop_mask(o.bbox, o.mask, SIZE) for o in answer.objects], axis=0).max() == 1


def test_seeds_that_are_waited_for_come_with_an_objects_turn_and_name_its_frame():
    t = begun()
    first = seeds(t.step(tracks(1, *IDS, boundary=True)))
    given = {o.object_id for o in first.objects}
    assert len(given) == 2
    for i in (2, 3, 4):
        later = seeds(t.step(tracks(i, *IDS)))
        assert later.frame_id == i
        given |= {o.object_id for o in later.objects}
    assert given == set(IDS)
    assert not [m for m in t.step(tracks(5, *IDS)) if isinstance(m, Seeds)]


def test_a_prompt_that_waits_moves_along_and_is_obeyed_in_its_turn():
    t = taking()
    t.turns.prompt_ms = 100.0  # three a frame
    answer = masks(t.step(tracks(0, *IDS, prompts=adds(*IDS))))
    waiting = [o.object_id for o in answer.objects if o.origin == "propagated"]
    assert len(waiting) == N - 3
    assert all(o.area == 0 and o.state == "uncertain" for o in answer.objects if o.object_id in waiting)
    list(t.step(tracks(1, *IDS)))
    moved = {q.object_id: q.prompt.box for q in t.model.queries if q.prompt is not None}
    assert all(moved[i] == (8 * i + 1, 10, 8 * i + 6, 15) for i in moved)
    list(t.step(tracks(2, *IDS)))
    assert {i for frame in t.model.decoded for i in frame} == set(IDS)


def test_objects_out_of_sight_are_looked_for_on_every_frame():
    t = begun()
    t.model.absent = {3, 4, 5}
    for i in range(1, 4):
        list(t.step(tracks(i, *IDS)))
        assert t.model.absent <= set(t.model.decoded[-1])
        assert len(t.model.decoded[-1]) == 3 + 2


def test_an_object_that_is_removed_leaves_nothing_behind():
    t = begun()
    list(t.step(tracks(1, 1, 2, boundary=True)))
    list(t.step(tracks(2, 1)))
    assert set(t.carried) == {1}
    assert set(t.turns.last_turn) == {1}
    assert t.owed_seeds <= {1}


def test_other_frame_sizes_drop_what_was_carried():
    t = begun()
    answer = masks(t.step(tracks(1, *IDS, size=(120, 160))))
    waiting = [o for o in answer.objects if o.origin == "propagated"]
    assert len(waiting) == N - 2
    assert all(o.area == 0 and o.state == "uncertain" for o in waiting)


def test_a_frame_that_the_model_has_no_answer_for_is_passed_over():
    t = begun()
    t.model.broken = True
    assert not [m for m in t.step(tracks(1, *IDS)) if isinstance(m, Masks)]
    t.model.broken = False
    assert masks(t.step(tracks(2, *IDS))).passed_over == 1


@pytest.mark.parametrize("kind", ["mask", "points"])
def test_every_kind_of_prompt_can_wait(kind):
    t = taking()
    t.turns.prompt_ms = 300.0  # one a frame
    whole = np.zeros(SIZE, np.uint8)
    whole[10:20, 10:20] = 1
    xy, labels = np.array([[12, 12]], np.float32), np.ones(1, np.uint8)
    more = {"mask": whole} if kind == "mask" else {"xy": xy, "labels": labels}
    prompts = [Prompt(object_id=1, box=(0, 0, 5, 5)), Prompt(object_id=2, **more)]
    list(t.step(tracks(0, 1, 2, prompts=prompts)))
    list(t.step(tracks(1, 1, 2)))
    [prompt] = [q.prompt for q in t.model.queries if q.prompt is not None]
    if kind == "mask":
        assert np.flatnonzero(prompt.mask.any(axis=0))[0] == 11
    else:
        assert prompt.xy.tolist() == [[13, 12]]


def test_masks_are_out_before_the_model_learns_from_them():
    t = begun(places=N)
    learnt: list[int] = []
    t.model.learn = lambda embedding, verdicts: learnt.extend(verdicts)
    answers = t.step(tracks(1, *IDS, boundary=True))
    assert isinstance(next(answers), Masks)
    assert learnt == []
    assert isinstance(next(answers), Seeds)
    assert sorted(learnt) == list(IDS)
