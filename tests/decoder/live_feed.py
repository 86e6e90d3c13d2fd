"""A live feed whose model finishes when a test says so."""

from __future__ import annotations

import numpy as np

from nodes.decoder.live_segmentation import LiveSegmenter
from nodes.decoder.mask_model import Logits, MaskModelTraits, ScoreLimits
from nodes.decoder.scheduling.budget import Budget
from nodes.decoder.segmentation import Segmenter
from stream.errors import ModelError
from stream.messages import Frame, Masks, ObjectTrack, Prompt, Seeds, Stamp, Tracks

SIZE = (60, 80)
PERIOD_NS = 40_000_000


class SquareModel:
    """An object is the square of 10 px round the mean of its points."""

    traits = MaskModelTraits(every_frame=False, points_contradict=False, own_seeds=False, limits=ScoreLimits())

    def __init__(self) -> None:
        self.encoded: list[int] = []  # the gray level of each frame
        self.refinement_passes: list[int] = []  # of each frame that was decoded with a budget
        self.broken = False

    def encode(self, rgb):
        if self.broken:
            raise ModelError("out of memory")
        self.encoded.append(int(rgb[0, 0, 0]))
        return rgb.shape[:2]

    def decode(self, embedding, queries):
        return [self._square(q.track.xy.mean(axis=0) if len(q.track.xy) else (40, 30)) for q in queries]

    def decode_sparingly(self, embedding, queries, refinement_passes):
        self.refinement_passes.append(refinement_passes)
        return self.decode(embedding, queries), 2 + refinement_passes

    def _square(self, centre):
        x, y = (int(v) - 5 for v in centre)
        return Logits((x, y, 10, 10), np.ones((10, 10), np.float32), 0.9)

    def learn(self, embedding, verdicts): ...
    def forget(self, object_id): ...
    def resize(self, old_size, new_size): ...


class ManualWorker:
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
    model = SquareModel()
    return LiveSegmenter(Segmenter(model), model, Budget(refinement_passes=12), ManualWorker(), Clock(tick_ms))


def xy_at(i: int):
    return np.array([[20 + i, 20], [30 + i, 20], [20 + i, 30], [30 + i, 30]], np.float32)


def tracks(i: int, *ids: int, ended=(), prompts=(), points_id=1, drawn_id=-1, drawn_xy=None, size=SIZE) -> Tracks:
    """One frame; `ended`: the objects whose window ends on it."""
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
    seeds_for = (*ended, *(p.object_id for p in prompts if p.object_id not in ended))
    return Tracks(frame=frame, objects=objects, prompts=tuple(prompts), boundary=bool(ended), seeds_for=seeds_for)


def add(object_id: int = 1) -> Prompt:
    return Prompt(object_id=object_id, xy=xy_at(0), labels=np.ones(4, np.uint8))


def masks(messages) -> Masks:
    [found] = [m for m in messages if isinstance(m, Masks)]
    return found


def seeds(messages) -> list[Seeds]:
    return [m for m in messages if isinstance(m, Seeds)]


def left_of(message: Masks) -> int:
    return message.objects[0].bbox[0]
