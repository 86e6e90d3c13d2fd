"""A mask model whose answers a test writes, and the messages to ask it with."""

from __future__ import annotations

import numpy as np

from nodes.decoder.mask_model import Logits, MaskModelTraits, ScoreLimits
from stream.messages import Frame, ObjectTrack, Prompt, ReinitRequest, Stamp, Tracks

SIZE = (60, 80)


def traits(every_frame=True, points_contradict=False, own_seeds=False) -> MaskModelTraits:
    """Those of `lite`, unless a test needs others."""
    return MaskModelTraits(every_frame, points_contradict, own_seeds, ScoreLimits())


class ScriptedModel:
    """Answers each object with a filled box (x, y, width, height) and a score; keeps what it is taught."""

    def __init__(self, boxes=None, score: float = 0.9, height: float = 2.0, **more) -> None:
        self.boxes = boxes or {1: (10, 10, 20, 20)}
        self.score, self.height = score, height
        self.part = False  # of a lost object that comes out
        self.traits = traits(**more)
        self.verdicts, self.forgotten, self.resized, self.queries = [], [], [], []

    def encode(self, rgb):
        return rgb

    def decode(self, embedding, queries):
        self.queries = list(queries)
        return [self.answer(q.object_id) for q in queries]

    def answer(self, object_id):
        x, y, width, height = self.boxes.get(object_id, (0, 0, 0, 0))
        logits = np.full((height, width), self.height + object_id, np.float32)
        return Logits((x, y, width, height), logits, self.score, "only a part" if self.part else "", self.part)

    def is_absent(self, object_id):
        return False

    def carry(self, embedding, object_ids, prompts, prompted):
        return {}

    def learn(self, embedding, verdicts):
        self.verdicts.append(dict(verdicts))

    def forget(self, object_id):
        self.forgotten.append(object_id)

    def resize(self, old_size, new_size):
        self.resized.append((old_size, new_size))


def frame(i: int, size=SIZE, session=0, **more) -> Frame:
    stamp = Stamp(camera="c", session=session, frame_id=i, captured_ns=i, captured_unix_ns=i)
    return Frame(stamp=stamp, rgb=np.zeros((*size, 3), np.uint8), **more)


def objects(*ids: int, visible=1.0) -> tuple[ObjectTrack, ...]:
    return tuple(
        ObjectTrack(
            object_id=o,
            xy=np.full((4, 2), 20, np.float32),
            visibility=np.full(4, visible, np.float32),
            labels=np.ones(4, np.uint8),
        )
        for o in ids
    )


def tracks(i: int, *ids: int, boundary=False, prompts=(), visible=1.0, seeds_for=None, **more) -> Tracks:
    """One frame, with Seeds asked for as a tracker does: of the prompted objects, or at a boundary."""
    prompted = [p.object_id for p in prompts]
    return Tracks(
        frame=frame(i, **more),
        objects=objects(*ids, visible=visible),
        prompts=tuple(prompts),
        boundary=boundary,
        seeds_for=tuple(ids if boundary else prompted) if seeds_for is None else seeds_for,
    )


def request(i: int, *ids: int, prompts=()) -> ReinitRequest:
    """A boundary frame whose Tracks follow, with points drawn anew."""
    return ReinitRequest(frame=frame(i), objects=objects(*ids), prompts=tuple(prompts), seeds_for=ids)


def box(object_id: int = 1, kind: str = "add") -> Prompt:
    return Prompt(object_id=object_id, kind=kind, box=(10, 10, 30, 30))
