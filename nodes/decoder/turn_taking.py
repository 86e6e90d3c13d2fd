"""A live feed with more objects than a model that must see every frame can decode: each frame is answered in full.

The model sees every frame, and decodes those objects whose turn it is (`scheduling/turns.py`). The memory of each of
the others moves along with the picture, and so does its last mask, which is published as `propagated`. Where the
decoded ones alone take too long, the model works on them more coarsely (`scheduling/detail.py`).

    frames      0      1      2      3     ...
    decoded     1 2    3 4    5 1    2 3          of five objects, two places a frame
    carried     345    125    234    451
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import cv2
import msgspec
import numpy as np

from nodes.decoder.combining import complete
from nodes.decoder.mask_model import NO_MASK, CarryingModel, Logits, Query
from nodes.decoder.propagation import CarriedMask
from nodes.decoder.scheduling.detail import Detail
from nodes.decoder.scheduling.turns import Candidate, Turns
from nodes.decoder.segmentation import Decoded, Job, Segmenter
from stream import geometry
from stream.arrays import Array
from stream.errors import ModelError
from stream.messages import Masks, ObjectMask, ObjectTrack, Origin, Prompt, Seeds, State, Tracks
from stream.timing import FramePeriod

log = logging.getLogger(__name__)

CARRIED_LOGIT = 2.0  # of a carried mask, where a decoded one meets it: surer than an outline, less sure than an inside


class TurnTaking:
    """Answer every frame of a live feed, however many objects there are."""

    def __init__(
        self,
        segmenter: Segmenter,
        model: CarryingModel,
        turns: Turns,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.segmenter = segmenter
        self.model = model
        self.turns = turns
        self.clock_ns = clock_ns
        self.detail = Detail()
        self.period = FramePeriod()
        self.carried: dict[int, CarriedMask] = {}  # the last mask of every object
        self.owed_seeds: set[int] = set()  # objects whose Seeds are waited for, until their turn comes
        self.in_turn = 0  # objects decoded on the last frame

    def step(self, tracks: Tracks) -> Iterator[Masks | Seeds]:
        """The messages about a frame, to be taken to the last: the model learns from the masks once they are out."""
        began = self.clock_ns()
        if self.segmenter.size not in (None, tracks.frame.size):
            self.carried.clear()
        job = self.segmenter.prepare(tracks)
        self._forget(job)
        self.period.add(tracks.frame.stamp.frame_id, tracks.frame.stamp.captured_ns)
        self.turns.measured_period(1e3 * self.period.s)
        self.model.detail = self.detail.share
        chosen = self._choose(job)
        own = job.part(chosen, self.owed_seeds)
        try:
            embedding = self.segmenter.embedding(job.frame)
            carried = self._carry(job, embedding, chosen)
            own = replace(own, rivals=list(carried.values()))
            ready = self.clock_ns()
            decoded = Decoded(embedding, self.model.decode(embedding, own.queries) if own.queries else [])
        except ModelError as error:
            log.warning("frame %d is not decoded: %s", job.frame.stamp.frame_id, error)
            yield self.segmenter.give_up(job)
            return
        judged = self.segmenter.judge(own, decoded)
        judged_ns = self.clock_ns()
        objects = [j.published for j in judged]
        self._keep(own, objects)
        message = self.segmenter.message(tracks, complete(job.frame.size, job.queries, objects, carried, self._state))
        fixed_ns = ready - began + self.clock_ns() - judged_ns
        yield message
        sent = self.clock_ns()
        seeds = self.segmenter.learn(own, decoded, judged)
        concluded = self.clock_ns()
        self._owe(job, own)
        if seeds is None and job.seeds_for:  # the tracker waits for an answer, if only for none
            stamp = job.frame.stamp
            seeds = Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=job.frame.size)
        self._measure(own, (judged_ns - ready + concluded - sent) / 1e6, fixed_ns / 1e6)
        if seeds is not None:
            yield seeds

    def keep(self, mask: ObjectMask, track: ObjectTrack, frame_id: int) -> None:
        """Carry a mask that was made beside the feed, on the last frame, until its object's turn comes."""
        self.carried[mask.object_id] = CarriedMask(mask.bbox, mask.mask, mask.score, track, frame_id)

    # --- whose turn it is -------------------------------------------------------------------------------------------

    def _choose(self, job: Job) -> set[int]:
        """The objects to decode on this frame; one that is out of sight costs little, and is always among them."""
        out_of_sight = {q.object_id for q in job.queries if q.prompt is None and self.model.is_absent(q.object_id)}
        candidates = [Candidate(q.object_id, self._kind(q)) for q in job.queries if q.object_id not in out_of_sight]
        in_turn = self.turns.choose(candidates)
        self.in_turn = len(in_turn)
        return in_turn | out_of_sight

    def _kind(self, query: Query) -> Literal["", "uncertain", "prompted"]:
        if query.prompt is not None:
            return "prompted"
        return "uncertain" if self.segmenter.objects[query.object_id].state == "uncertain" else ""

    def _owe(self, job: Job, own: Job) -> None:
        """Remember whose Seeds are still waited for."""
        self.owed_seeds = (self.owed_seeds | set(job.seeds_for)) - {q.object_id for q in own.queries}

    def _measure(self, own: Job, decode_ms: float, fixed_ms: float) -> None:
        prompted = len(own.prompts)
        self.turns.spent(fixed_ms, decode_ms, self.in_turn - prompted, prompted)
        if self.in_turn and not prompted:
            self.detail.spent(fixed_ms, decode_ms, self.turns.period_ms)

    # --- the others -------------------------------------------------------------------------------------------------

    def _carry(self, job: Job, embedding: object, chosen: set[int]) -> dict[int, Logits]:
        """The masks of the objects that wait, moved to this frame, by object; their prompts move along and wait."""
        waiting = [q for q in job.queries if q.object_id not in chosen]
        if not waiting:
            return {}
        prompts = {q.object_id: q.prompt for q in waiting if q.prompt is not None}
        steps = self.model.carry(embedding, [q.object_id for q in waiting], prompts, bool(job.prompts))
        self.segmenter.postpone({i: _moved(p, steps.get(i, geometry.IDENTITY)) for i, p in prompts.items()})
        answers = {}
        for query in waiting:
            mask = self.carried.get(query.object_id)
            answers[query.object_id] = (
                NO_MASK
                if mask is None
                else mask.move_by(steps.get(query.object_id, geometry.IDENTITY), job.frame.size, CARRIED_LOGIT)
            )
        return answers

    def _keep(self, own: Job, objects: Sequence[ObjectMask]) -> None:
        """Carry what has been decoded from now on."""
        tracks = {q.object_id: q.track for q in own.queries}
        for o in objects:
            self.carried[o.object_id] = CarriedMask(o.bbox, o.mask, o.score, tracks[o.object_id])

    def _state(self, object_id: int, answer: Logits) -> tuple[State, Origin, str]:
        """The object's state as of its last turn, and why it is doubted; so is one that has no mask."""
        o = self.segmenter.objects[object_id]
        if answer is NO_MASK and o.state in ("tracked", "reacquired"):
            return "uncertain", "propagated", "waits for its turn"
        return o.state, "propagated", o.reason

    def _forget(self, job: Job) -> None:
        """Forget what is gone, and the mask of an object that begins again."""
        alive = {q.object_id for q in job.queries}
        begun = {i for i, p in job.prompts.items() if p.kind == "add"}
        self.carried = {i: mask for i, mask in self.carried.items() if i in alive - begun}
        self.owed_seeds &= alive
        self.turns.forget_others(alive)


def _moved(prompt: Prompt, step: Array) -> Prompt:
    """A prompt whose turn is on a later frame, where the picture below it has moved by `step` (2, 3)."""
    moved = prompt
    if prompt.xy is not None and len(prompt.xy):
        moved = msgspec.structs.replace(moved, xy=geometry.apply(step, prompt.xy).astype(np.float32))
    if prompt.box is not None:
        (x1, y1), (x2, y2) = geometry.apply(step, np.array(prompt.box, np.float64).reshape(2, 2)).tolist()
        box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        moved = msgspec.structs.replace(moved, box=box)
    if prompt.mask is not None:
        mask = cv2.warpAffine(prompt.mask, step, prompt.mask.shape[::-1], flags=cv2.INTER_NEAREST)
        moved = msgspec.structs.replace(moved, mask=np.asarray(mask, np.uint8))
    return moved
