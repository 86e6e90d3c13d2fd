"""A mask model that answers what it is told to, and tracks to ask it with."""

from __future__ import annotations

import numpy as np

from nodes.decoder.mask_model import Logits
from stream.messages import Frame, ObjectTrack, Prompt, Stamp, Tracks

SIZE = (60, 80)


class Told:
    """Answers each object with a filled box (x, y, width, height) and a score; keeps what it is taught."""

    def __init__(self, boxes=None, score: float = 0.9, height: float = 2.0) -> None:
        self.boxes = boxes or {1: (10, 10, 20, 20)}
        self.score, self.height = score, height
        self.verdicts, self.forgotten, self.resized, self.queries = [], [], [], []

    def encode(self, rgb):
        return rgb

    def decode(self, embedding, queries):
        self.queries = list(queries)
        return [self.answer(q.object_id) for q in queries]

    def answer(self, object_id):
        x, y, width, height = self.boxes.get(object_id, (0, 0, 0, 0))
        return Logits((x, y, width, height), np.full((height, width), self.height + object_id, np.float32), self.score)

    def learn(self, embedding, verdicts):
        self.verdicts.append(dict(verdicts))

    def forget(self, object_id):
        self.forgotten.append(object_id)

    def resize(self, old_size, new_size):
        self.resized.append((old_size, new_size))


def tracks(i: int, *ids: int, boundary=False, prompts=(), size=SIZE, session=0, visible=1.0, stage="only") -> Tracks:
    stamp = Stamp(camera="c", session=session, frame_id=i, captured_ns=i, captured_unix_ns=i)
    objects = tuple(
        ObjectTrack(
            object_id=o,
            xy=np.full((4, 2), 20, np.float32),
            visibility=np.full(4, visible, np.float32),
            labels=np.ones(4, np.uint8),
        )
        for o in ids
    )
    frame = Frame(stamp=stamp, rgb=np.zeros((*size, 3), np.uint8))
    return Tracks(frame=frame, objects=objects, prompts=tuple(prompts), due=ids if boundary else (), stage=stage)


def box(object_id: int = 1, kind: str = "add") -> Prompt:
    return Prompt(object_id=object_id, kind=kind, box=(10, 10, 30, 30))
