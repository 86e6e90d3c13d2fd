"""A live feed with a model slower than it: every frame is answered at once, decoded or carried by its points.

The model runs beside the feed, one frame at a time. A frame whose masks will be there before the next frame is waited
for; the others are answered with the last decoded masks, carried by the tracked points and marked `propagated`. When
the model is ready, its masks are what is carried from then on, and its Seeds go to the tracker, which catches up.

    frames   0  1  2  3  4  5  6  7  8  9 ...
    model    [0............][4........][7 (a boundary)...
    masks    -  -  -  -  0> 0> 0> 4> 4> ...                n>: those of frame n, carried
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nodes.decoder.combining import complete, exclusive, object_mask
from nodes.decoder.mask_model import Logits, Query, SparingModel
from nodes.decoder.model_sharing import ModelSharing
from nodes.decoder.propagation import Propagator
from nodes.decoder.scheduling.budget import Budget, Situation
from nodes.decoder.scheduling.turns import Candidate, Turns
from nodes.decoder.segmentation import Decoded, Job, Segmenter
from stream.crops import crop_mask
from stream.errors import ModelError
from stream.messages import Masks, ObjectMask, ObjectTrack, Origin, Seeds, Stamp, State, Tracks
from stream.scheduling.requests import DeclinedError
from stream.scheduling.worker import SlicedTask, Worker
from stream.timing import FramePeriod

log = logging.getLogger(__name__)

FOREIGN_MS = 60_000.0  # a frame older than that was stamped by another host's clock: its age is unknown
RESTORED_SCORE = 0.25  # of a mask from before a restart: the object may be elsewhere by now
TURN_SHARE = 0.5  # of the age at which a frame counts as late
WITHDRAWN_S = 0.05  # how long the end of a job is waited for that was withdrawn
UNMEASURED_S = 0.1  # how long the first decode of all is waited for, whose cost is unknown


@dataclass(frozen=True)
class Timed:
    """An answer of the model, and what it cost."""

    decoded: Decoded
    encode_ms: float
    decode_ms: float
    passes: int


@dataclass(frozen=True)
class Concluded:
    """What became of a job."""

    job: Job
    objects: list[ObjectMask] | None  # None: the model had no answer, or the frame's size is not the feed's any more
    seeds: Seeds | None


class LiveSegmenter:
    """Answer every frame of a live feed, whatever the model costs."""

    def __init__(
        self,
        segmenter: Segmenter,
        model: SparingModel,
        budget: Budget,
        worker: Worker[Timed | bool],
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sharing: ModelSharing | None = None,
    ) -> None:
        """`sharing`: with other cameras, whose model may have no time for a frame."""
        self.segmenter = segmenter
        self.model = model
        self.sharing = sharing
        self.budget = budget
        self.worker = worker
        self.clock_ns = clock_ns
        self.propagator = Propagator()
        self.turns = Turns()
        self.owed_seeds: set[int] = set()  # objects whose Seeds are waited for, until their turn comes
        self.running: Job | None = None
        self.waiting: list[tuple[Job, int]] = []  # with their refinement passes: prompts, and the newest boundary
        self.tasks: list[SlicedTask] = []  # what the model does where no frame waits for it, one after the other
        self.last: Stamp | None = None
        self.period = FramePeriod()
        self.refinement_passes = budget.refinement_passes  # that the last job was given
        self.propagated = 0  # frames that were answered with older masks

    def step(self, tracks: Tracks) -> list[Masks | Seeds]:
        """The messages about a frame, and the Seeds of those that the model has finished since the last."""
        messages: list[Masks | Seeds] = list(self.collect())
        if self.segmenter.size not in (None, tracks.frame.size):
            self.propagator.clear()  # what waits is of the old size: the tracker asks for those masks again
            self.waiting.clear()
        now = self._situation(tracks)
        job = self.segmenter.prepare(tracks)
        self._take_over(job)
        plan = self.budget.plan(now)
        done: Concluded | None = None
        if plan.decode and (job.queries or now.kind):
            self._give_way(job)
            self._queue(job, plan.refinement_passes)
            if self.running is not None and self.running.frame is job.frame:
                done = self._conclude(self._patience_s(plan.refinement_passes, now.objects))
        if done is not None and done.seeds is not None:
            messages.append(done.seeds)
        objects = None if done is None else done.objects
        if objects is None:
            self.propagated += 1
            objects = self._carried(job)
        elif len(objects) < len(job.queries):
            decoded = {o.object_id for o in objects}
            others = [q for q in job.queries if q.object_id not in decoded]
            carried = {q.object_id: self.propagator.carry(q.track, job.frame.size) for q in others}
            objects = complete(job.frame.size, job.queries, objects, carried, self._state)
        return [*messages, self.segmenter.message(tracks, objects)]

    def collect(self) -> Iterator[Seeds]:
        """The Seeds of what the model has finished."""
        while (done := self._conclude(0.0)) is not None:
            if done.seeds is not None:
                yield done.seeds

    def run(self, task: SlicedTask) -> None:
        """Do a task after those that wait, a slice whenever no frame waits for the model."""
        self.tasks.append(task)
        self._advance()

    def keep(self, mask: ObjectMask, track: ObjectTrack, frame_id: int) -> None:
        """Carry a mask that was made beside the feed, with the points on its frame, from now on."""
        self.propagator.keep(mask.bbox, mask.mask, mask.score, track, frame_id)

    # --- whose turn it is -------------------------------------------------------------------------------------------

    def _in_turns(self, job: Job) -> list[Job]:
        """The job of the objects whose turn it is, and of prompted ones that are too many for it: they come next."""
        self.owed_seeds = (self.owed_seeds | set(job.seeds_for)) & set(self.segmenter.objects)
        chosen = self.turns.choose([self._candidate(q) for q in job.queries], self._turn_ms)
        own = job.part(chosen, self.owed_seeds)
        self.owed_seeds -= chosen
        left = job.prompts.keys() - chosen
        return [own, job.part(left, set())] if left else [own]

    def _candidate(self, query: Query) -> Candidate:
        if query.prompt is not None:
            return Candidate(query.object_id, "prompted")
        uncertain = self.segmenter.objects[query.object_id].state == "uncertain"
        return Candidate(query.object_id, "uncertain" if uncertain else "")

    @property
    def _turn_ms(self) -> float:
        """What the objects decoded together may cost: not much less than their encode, and too little to grow old."""
        return max(self.budget.frame_ms, self.budget.encode_ms or 0.0, TURN_SHARE * self.budget.max_age_ms)

    # --- the model --------------------------------------------------------------------------------------------------

    def _queue(self, job: Job, refinement_passes: int) -> None:
        """Let a job run now, or as soon as it may: nobody waits for a frame without a prompt or a boundary."""
        if self.worker.busy:
            if job.prompts:
                self.waiting.append((job, refinement_passes))
            elif job.boundary:
                self.waiting = [w for w in self.waiting if w[0].prompts] + [(job, refinement_passes)]
            return
        own, *rest = self._in_turns(job)
        self.waiting = [(part, refinement_passes) for part in rest] + self.waiting
        self.running = own
        self.refinement_passes = refinement_passes
        self.worker.start(lambda: self._timed(own, refinement_passes))

    def _advance(self) -> None:
        """The next slice of the first task, if there is one and nobody else needs the model."""
        if self.tasks and not self.worker.busy:
            self.worker.start(self.tasks[0].step)

    def _give_way(self, job: Job) -> None:
        """Give up the frame under way where a shared model has not begun with it: this one is newer."""
        if self.sharing is None or self.running is None or self.waiting or not job.queries:
            return
        if self.sharing.withdraw():
            self._conclude(WITHDRAWN_S)

    def _timed(self, job: Job, refinement_passes: int) -> Timed:
        """Ask the model (on the worker's thread)."""
        if self.sharing is None:
            return self._ask(job, refinement_passes)
        with self.sharing.frame(job):
            return self._ask(job, refinement_passes)

    def _ask(self, job: Job, refinement_passes: int) -> Timed:
        began = self.clock_ns()
        embedding = self.segmenter.embedding(job.frame)
        encoded = self.clock_ns()
        answers: Sequence[Logits] = []
        passes = 0
        if job.queries:
            answers, passes = self.model.decode_sparingly(embedding, job.queries, refinement_passes)
        decode_ms = (self.clock_ns() - encoded) / 1e6
        return Timed(Decoded(embedding, answers), (encoded - began) / 1e6, decode_ms, passes)

    def _conclude(self, wait_s: float) -> Concluded | None:
        """Take what the model has finished, and give it the next job; None where it is still at work, or idle."""
        outcome = self.worker.take(wait_s) if self.worker.busy else None
        if outcome is None:
            return None
        job, self.running = self.running, None
        timed, error = outcome
        if timed is True and self.tasks:
            self.tasks.pop(0).finish()
        if self.waiting:
            self._queue(*self.waiting.pop(0))
        if error is None or isinstance(error, ModelError):
            self._advance()
        if job is None:  # a slice of a task
            if error is not None:
                raise error
            return None
        if isinstance(error, DeclinedError):
            return Concluded(job, None, self.segmenter.decline(job) if job.seeds_for else None)
        if isinstance(error, ModelError):
            log.warning("frame %d is not decoded: %s", job.frame.stamp.frame_id, error)
            return Concluded(job, None, self.segmenter.give_up(job))
        if error is not None:
            raise error
        assert isinstance(timed, Timed), "a job ends with an answer or an error"
        self.budget.spent(timed.encode_ms, timed.decode_ms, timed.passes, len(job.queries))
        if timed.passes:
            least_ms = timed.decode_ms * min(1.0, (2 + self.budget.least_passes) / timed.passes)
            prompted = len(job.prompts)
            self.turns.spent(0.0, least_ms, len(job.queries) - prompted, prompted)
        if job.frame.size != self.segmenter.size:
            return Concluded(job, None, None)
        objects, seeds = self.segmenter.conclude(job, timed.decoded)
        tracks = {q.object_id: q.track for q in job.queries}
        for o in objects:
            self.propagator.keep(o.bbox, o.mask, o.score, tracks[o.object_id], job.frame.stamp.frame_id)
        return Concluded(job, objects, seeds)

    def _patience_s(self, passes: int, objects: int) -> float:
        """How long a frame waits for its own masks: not at all, unless they come before the next frame does."""
        if self.budget.encode_ms is None:
            return UNMEASURED_S
        period_ms = max(self.budget.frame_ms, self.budget.period_ms)
        return 2e-3 * period_ms if self.budget.cost_ms(passes, objects) <= period_ms else 0.0

    # --- frames that are carried ------------------------------------------------------------------------------------

    def _take_over(self, job: Job) -> None:
        """Forget what is gone; a mask that the user gives is carried at once."""
        for object_id in [i for i in self.propagator.objects if i not in self.segmenter.objects]:
            self.propagator.forget(object_id)
        self.turns.forget_others(set(self.segmenter.objects))
        for query in job.queries:
            prompt = query.prompt
            if prompt is None or prompt.kind == "refine":
                continue
            self.propagator.forget(query.object_id)
            if prompt.mask is not None and prompt.mask.any():
                score = 1.0 if query.prompted else RESTORED_SCORE
                self.propagator.keep(*crop_mask(prompt.mask), score, query.track, job.frame.stamp.frame_id)

    def _carried(self, job: Job) -> list[ObjectMask]:
        """The last decoded masks where the points have taken them."""
        size = job.frame.size
        answers = [self.propagator.carry(query.track, size) for query in job.queries]
        return [
            object_mask(query.track, answer, mask, *self._state(query.object_id, answer))
            for query, answer, mask in zip(job.queries, answers, exclusive(size, answers), strict=True)
        ]

    def _state(self, object_id: int, answer: Logits) -> tuple[State, Origin, str]:
        """The object's state as of its last decode; doubted where its points do not agree, or it has no mask yet."""
        o = self.segmenter.objects[object_id]
        if answer.score < self.segmenter.traits.limits.clear and o.state in ("tracked", "reacquired"):
            return "uncertain", "propagated", "few points agree where it went"
        return o.state, "propagated", o.reason

    def _situation(self, tracks: Tracks) -> Situation:
        """A frame as the budget sees it; measures the feed's period."""
        stamp, last = tracks.frame.stamp, self.last
        frames = 1
        if last is not None and last.session == stamp.session and stamp.frame_id > last.frame_id:
            frames = stamp.frame_id - last.frame_id
        self.last = stamp
        self.period.add(stamp.frame_id, stamp.captured_ns)
        self.budget.measured_period(1e3 * self.period.s)
        age_ms = (self.clock_ns() - stamp.captured_ns) / 1e6
        return Situation(
            kind="prompt" if tracks.prompts else "boundary" if tracks.boundary else "",
            age_ms=age_ms if 0 <= age_ms < FOREIGN_MS else 0.0,
            frames=frames,
            objects=self.turns.places(len(tracks.objects), self._turn_ms),
            newer_waiting=False,
        )
