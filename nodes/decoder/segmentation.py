"""Tracked points in, exclusive masks with honest states out, and the seeds that new points are drawn from.

The model answers every object with logits; each pixel goes to the object with the largest one, where that is positive
(docs/sam_pt.md, d: softmax over objects with a background of 0). A boundary frame or a prompt is answered with Seeds,
in which an object with a bad mask is absent: its last good one stays what its points were drawn from.

A step has parts, so that the costly ones, encoding and decoding, may run beside the feed (`live_segmentation.py`): they
change nothing here. `prepare` takes the frame's prompts, `conclude` judges the model's answer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from nodes.decoder import reinit
from nodes.decoder.combining import exclusive, object_mask
from nodes.decoder.mask_model import Embedding, Logits, MaskModel, Query, RememberingModel, Verdict
from nodes.decoder.segmented_object import SegmentedObject
from stream.crops import uncrop_mask
from stream.errors import ModelError
from stream.geometry import Size
from stream.messages import Frame, Masks, ObjectMask, Prompt, ReinitRequest, Seed, Seeds, Stamp, Tracks
from stream.settings.options import SegmenterOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What the model is asked on one frame."""

    frame: Frame
    queries: list[Query]
    objects: list[SegmentedObject]  # of each query; an object that was begun again since is another one
    seeds_for: tuple[int, ...]  # object ids whose Seeds are waited for
    boundary: bool  # a window ends on this frame
    rivals: Sequence[Logits] = ()  # carried masks of other objects, which are not decoded on this frame

    @property
    def prompts(self) -> dict[int, Prompt]:
        """The prompts that are obeyed, by object."""
        return {q.object_id: q.prompt for q in self.queries if q.prompt is not None}

    def part(self, object_ids: Set[int], owed_seeds: Set[int]) -> Job:
        """The job of those objects alone, with the Seeds of them that are waited for since earlier frames."""
        pairs = [(q, o) for q, o in zip(self.queries, self.objects, strict=True) if q.object_id in object_ids]
        return replace(
            self,
            queries=[q for q, _ in pairs],
            objects=[o for _, o in pairs],
            seeds_for=tuple(i for i in dict.fromkeys([*self.seeds_for, *sorted(owed_seeds)]) if i in object_ids),
        )


@dataclass(frozen=True)
class Decoded:
    """What the mask model answered for a frame."""

    embedding: Embedding
    answers: Sequence[Logits]  # one a query


@dataclass(frozen=True)
class Judged:
    """One object's mask of a frame, judged."""

    published: ObjectMask
    source: ObjectMask  # what points may be drawn from
    verdict: Verdict


class Segmenter:
    """Turn every object's points into a mask, frame by frame."""

    def __init__(self, model: MaskModel, options: SegmenterOptions = SegmenterOptions()) -> None:  # noqa: B008  frozen
        self.model = model
        self.options = options
        self.traits = model.traits
        self.objects: dict[int, SegmentedObject] = {}
        self.size: Size | None = None  # (H, W) of the last frame
        self.failed = 0  # frames that the model had no answer for
        self.decoded = 0  # frames that it had one for
        self._unanswered: dict[int, Prompt] = {}  # prompts of frames that the model had no answer for
        self._expected: set[int] = set()  # objects whose first mask is being made beside the feed
        self._published: Stamp | None = None  # of the last frame with masks
        self._requested: Stamp | None = None  # of the last ReinitRequest: its frame comes once more
        self._encoded: tuple[Stamp, Embedding] | None = None  # the last

    def step(self, tracks: Tracks) -> tuple[Masks | None, Seeds | None]:
        """The masks of one frame, None where the model has no answer; Seeds where they are waited for."""
        job = self.prepare(tracks)
        decoded = self._ask_model(job)
        if decoded is None:
            return None, self.give_up(job)
        objects, seeds = self.conclude(job, decoded)
        return self.message(tracks, objects), seeds

    def reinit(self, request: ReinitRequest) -> Seeds:
        """The Seeds of a boundary frame whose masks do not count: its Tracks come next, with the points drawn anew."""
        self._requested = request.frame.stamp
        job = self.prepare(request)
        decoded = self._ask_model(job)
        if decoded is None:
            return self._postpone(job)
        return self._seeds(job, [j.source for j in self._judge(job, decoded, provisional=True)])

    def forget(self, object_id: int) -> None:
        """Drop an object that the tracker no longer follows."""
        self.objects.pop(object_id, None)
        self.model.forget(object_id)

    def expect(self, object_id: int) -> None:
        """The first mask of an object is being made beside the feed: until it comes, the object is not missing."""
        if object_id not in self.objects:
            self._expected.add(object_id)

    def expect_no_more(self, object_id: int) -> None:
        """No first mask comes."""
        self._expected.discard(object_id)
        if object_id in self.objects:
            self.objects[object_id].expect_no_more()

    def adopt(self, object_id: int, other: Segmenter) -> None:
        """Follow an object as another segmenter has begun to: its state, and the model's memory of it."""
        self._expected.discard(object_id)
        self.objects[object_id] = other.objects[object_id]
        if isinstance(self.model, RememberingModel) and isinstance(other.model, RememberingModel):
            self.model.adopt(object_id, other.model)

    def embedding(self, frame: Frame) -> Embedding:
        """What the model keeps of a frame; not computed again for the last one. ModelError when it has no answer."""
        if self._encoded is None or self._encoded[0] != frame.stamp:
            self._encoded = (frame.stamp, self.model.encode(frame.rgb))
        return self._encoded[1]

    # --- parts of a step --------------------------------------------------------------------------------------------

    def prepare(self, request: Tracks | ReinitRequest) -> Job:
        """Take a frame's prompts, forget the objects that are gone, and say what the model is to be asked."""
        frame = request.frame
        self._turn_to(frame.size)
        alive = {track.object_id for track in request.objects}
        for object_id in [i for i in self.objects if i not in alive]:
            self.forget(object_id)
        # The Tracks that follow a ReinitRequest: their objects have begun, and their Seeds have been sent.
        repeated = isinstance(request, Tracks) and frame.stamp == self._requested
        prompts = self._prompts(request, alive, repeated)
        waiting = {i: p for i, p in self._unanswered.items() if i in alive and i not in prompts}
        self._unanswered.clear()
        for object_id in alive - self.objects.keys():
            prompt = (waiting | prompts).get(object_id)
            restored = prompt is not None and prompt.kind == "restore"
            self.objects[object_id] = SegmentedObject(
                self.options, self.traits, restored=restored, expected=object_id in self._expected
            )
            if prompt is not None and restored:
                _log_restored(prompt, frame.stamp)
        queries = [
            Query(track, (waiting | prompts).get(track.object_id), self.objects[track.object_id].absent)
            for track in request.objects
        ]
        return Job(
            frame=frame,
            queries=queries,
            objects=[self.objects[q.object_id] for q in queries],
            seeds_for=request.seeds_for if repeated else (*request.seeds_for, *waiting),
            boundary=isinstance(request, ReinitRequest) or request.boundary,
        )

    def conclude(self, job: Job, decoded: Decoded) -> tuple[list[ObjectMask], Seeds | None]:
        """Every object's mask and state by the model's answer; Seeds where the tracker waits for them."""
        judged = self.judge(job, decoded)
        return [j.published for j in judged], self.learn(job, decoded, judged)

    def judge(self, job: Job, decoded: Decoded) -> list[Judged]:
        """Every object's mask and state by the model's answer; to be learnt before the next frame."""
        self.decoded += 1
        return self._judge(job, decoded)

    def learn(self, job: Job, decoded: Decoded, judged: Sequence[Judged]) -> Seeds | None:
        """Let the model learn from what was judged; Seeds where the tracker waits for them."""
        self.model.learn(decoded.embedding, {j.published.object_id: j.verdict for j in judged})
        return self._seeds(job, [j.source for j in judged]) if job.seeds_for else None

    def give_up(self, job: Job) -> Seeds:
        """The model has no answer: every object's old points stay, and prompts are obeyed on the next frame."""
        self.failed += 1
        return self._postpone(job)

    def decline(self, job: Job) -> Seeds:
        """The model has no time for this frame: as `give_up`, but nothing has failed."""
        return self._postpone(job)

    def postpone(self, prompts: Mapping[int, Prompt]) -> None:
        """Obey these prompts, by object, on the next frame."""
        self._unanswered |= prompts

    def message(self, tracks: Tracks, objects: Sequence[ObjectMask]) -> Masks:
        """The masks of a frame, with the count of those that were passed over since the last."""
        stamp, last = tracks.frame.stamp, self._published
        gap = 0 if last is None or last.session != stamp.session else stamp.frame_id - last.frame_id - 1
        self._published = stamp
        return Masks(
            stamp=stamp,
            size=tracks.frame.size,
            objects=tuple(objects),
            passed_over=max(gap, 0),
            boundary=tracks.boundary,
        )

    def _turn_to(self, size: Size) -> None:
        """Carry everything over to another frame size."""
        if self.size is not None and self.size != size:
            self.model.resize(self.size, size)
            for o in self.objects.values():
                o.rescale(size[0] * size[1] / (self.size[0] * self.size[1]))
        self.size = size

    def _prompts(self, request: Tracks | ReinitRequest, alive: set[int], repeated: bool) -> dict[int, Prompt]:
        """The frame's prompt to obey for each object. A `restore` of an object with a mask is not one."""
        prompts: dict[int, Prompt] = {}
        for prompt in request.prompts:
            o = self.objects.get(prompt.object_id)
            # A decoder that was restarted may get frames before the prompts: then the object is there without a mask.
            if prompt.object_id not in alive or (prompt.kind == "restore" and o is not None and o.good_area > 0):
                continue
            if prompt.kind != "refine" and o is not None and not repeated:
                self.forget(prompt.object_id)
            prompts[prompt.object_id] = prompt
        return prompts

    def _ask_model(self, job: Job) -> Decoded | None:
        """The model's answer; None where it has none."""
        if not job.queries and not self.traits.every_frame:
            return Decoded(None, [])
        try:
            embedding = self.embedding(job.frame)
            return Decoded(embedding, self.model.decode(embedding, job.queries) if job.queries else [])
        except ModelError as error:
            log.warning("frame %d is not decoded: %s", job.frame.stamp.frame_id, error)
            return None

    def _judge(self, job: Job, decoded: Decoded, *, provisional: bool = False) -> list[Judged]:
        """The masks of all objects that are still the ones that the model was asked about."""
        masks = exclusive(job.frame.size, [*decoded.answers, *job.rivals])[: len(decoded.answers)]
        judged = []
        for query, o, answer, mask in zip(job.queries, job.objects, decoded.answers, masks, strict=True):
            if self.objects.get(query.object_id) is not o:
                continue
            state, evidence = o.judge(query, answer, mask, job.frame.size, provisional=provisional)
            missing = evidence == "missing"
            shown = np.zeros_like(mask) if missing or state == "lost" else mask
            published = object_mask(query.track, answer, shown, state, "decoded", o.reason)
            whole = uncrop_mask(answer.window, np.zeros_like(mask) if missing else mask, job.frame.size)
            verdict = Verdict(whole, evidence == "clear" and state != "lost", state == "lost")
            judged.append(Judged(published, self._source(published, query, answer), verdict))
            if self.options.reinit_variant != "A":  # it alone never goes back
                o.remember(job.frame.stamp.frame_id, published)
        return judged

    def _source(self, published: ObjectMask, query: Query, answer: Logits) -> ObjectMask:
        """The mask that an object's points are drawn from: as published, or its own (docs/sam_pt.md, e.3)."""
        if not self.traits.own_seeds or (self.options.check_masks and not published.area):
            return published
        own = (answer.logits > 0).astype(np.uint8)
        return object_mask(query.track, answer, own, published.state, published.origin)

    def _seeds(self, job: Job, sources: Sequence[ObjectMask]) -> Seeds:
        """The good masks among those waited for, each on the frame that its variant of re-initialisation chooses."""
        stamp, size, prompts = job.frame.stamp, job.frame.size, job.prompts
        chosen = {o.object_id: (stamp.frame_id, o) for o in sources}
        if self.options.reinit_variant != "A" and job.boundary:
            chosen |= self._choose([i for i in job.seeds_for if i in chosen and i not in prompts])
        seeds = []
        prompted = {q.object_id for q in job.queries if q.prompted}
        for object_id, (frame_id, o) in chosen.items():
            segmented = self.objects[object_id]
            if object_id in job.seeds_for and segmented.accept_seed(o, size, prompted=object_id in prompted):
                seeds.append(Seed(object_id=object_id, bbox=o.bbox, mask=o.mask, frame_id=frame_id))
                segmented.restart_window(frame_id)
        return Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=size, objects=tuple(seeds))

    def _choose(self, object_ids: list[int]) -> dict[int, tuple[int, ObjectMask]]:
        """object_id -> the frame_id and the mask to draw points from, among the frames since they were drawn last."""
        windows = {i: self.objects[i].window for i in object_ids}
        length = min((len(w) for w in windows.values()), default=0)
        if length < 2:
            return {}
        areas = np.array([[mask.area for _, mask in w[-length:]] for w in windows.values()])
        picked = reinit.choose(self.options.reinit_variant, areas[:, 1:], areas[:, 0])
        return {i: w[-length:][1 + int(k)] for (i, w), k in zip(windows.items(), picked, strict=True)}

    def _postpone(self, job: Job) -> Seeds:
        """Nothing to draw points from; the prompts wait for the next frame."""
        self._unanswered |= job.prompts
        stamp = job.frame.stamp
        return Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=job.frame.size)


def _log_restored(prompt: Prompt, stamp: Stamp) -> None:
    age = (
        f"{(stamp.captured_unix_ns - prompt.seen_unix_ns) / 1e9:.1f} s old" if prompt.seen_unix_ns else "of unknown age"
    )
    log.info("object %d is looked for again; its last good mask is %s", prompt.object_id, age)
