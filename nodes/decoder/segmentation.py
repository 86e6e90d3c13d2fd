"""Tracked points in, exclusive masks with honest states out, and the seeds that new points are drawn from.

The model answers every object with logits; each pixel goes to the object with the largest one, where that is positive
(spec d: softmax over objects with a background of 0). A boundary frame or a prompt is answered with Seeds, in which an
object with a bad mask is absent: its last good one stays what its points were drawn from.

A step has parts, so that the costly ones, `encode` and `decode`, may run beside the feed (`live.py`): they change
nothing here. `prepare` takes the frame's prompts, `conclude` judges what the model said.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nodes.decoder import reinit
from nodes.decoder.combining import exclusive, object_mask
from nodes.decoder.evidence import contradicted
from nodes.decoder.mask_model import Embedding, Logits, MaskModel, Query, Verdict
from nodes.decoder.reinit import Variant
from nodes.decoder.states import WHOLE_FRAME, Limits, ObjectState, judge
from stream.arrays import Array
from stream.crops import uncrop_mask
from stream.errors import ModelError
from stream.messages import Frame, Masks, ObjectMask, Prompt, Seed, Seeds, Stamp, Tracks

log = logging.getLogger(__name__)

FORGOTTEN = 0.98  # share kept, at each seed, of the area that growth is measured by


@dataclass
class Segmented:
    """What the segmenter keeps of one object."""

    state: ObjectState
    good_area: int = 0  # px: the largest mask that seeded points, slowly forgotten; 0: none yet
    doubted: bool = False  # the last mask was contradicted by its points
    since: list[tuple[int, ObjectMask]] = field(default_factory=list)  # by frame_id, since its points were drawn


@dataclass(frozen=True)
class Job:
    """What the model is asked on one frame."""

    tracks: Tracks
    queries: list[Query]
    known: list[Segmented]  # the object of each query; one that was given anew since is another

    @property
    def prompts(self) -> dict[int, Prompt]:
        """The prompts that are obeyed, by object."""
        return {q.object_id: q.prompt for q in self.queries if q.prompt is not None}


@dataclass(frozen=True)
class Decoded:
    """What it said."""

    embedding: Embedding
    answers: Sequence[Logits]  # one a query


class Segmenter:
    """Turn every object's points into a mask, frame by frame."""

    def __init__(
        self,
        model: MaskModel,
        *,
        min_area_px: int = 25,
        max_growth: float = 3.0,
        lost_after_frames: int = 8,
        reinit_variant: Variant = "A",
        horizon: int = 8,
        limits: Limits = Limits(),  # noqa: B008  frozen
        ask_points: bool = False,
        check_masks: bool = True,
        own_seeds: bool = False,
        every_frame: bool = True,
    ) -> None:
        self.model = model
        self.variant: Variant = reinit_variant
        self.horizon = horizon
        self.limits = limits
        self.every_frame = every_frame  # the model learns from frames without objects, too
        self.ask_points = ask_points  # a mask that the points contradict is doubted, and seeds nothing
        self.check_masks = check_masks  # False: every mask is shown and points are drawn from it, as in the paper
        self.own_seeds = own_seeds  # points are drawn from an object's mask before others have their say (spec e.3)
        self.min_area_px = min_area_px
        self.max_growth = max_growth
        self.lost_after_frames = lost_after_frames
        self.objects: dict[int, Segmented] = {}
        self.last: Stamp | None = None
        self.size: tuple[int, int] | None = None  # (H, W) of the last frame
        self.unanswered: dict[int, Prompt] = {}  # of frames that the model had no answer for
        self.failed = 0  # such frames
        self.decoded = 0  # frames that it had one for
        self.newest: tuple[Stamp, Embedding] | None = None  # what was encoded last

    def reset(self) -> None:
        """Forget every object and the feed."""
        for object_id in list(self.objects):
            self.forget(object_id)
        self.last = self.size = self.newest = None
        self.unanswered.clear()

    def forget(self, object_id: int) -> None:
        """Drop an object that the tracker no longer follows."""
        self.objects.pop(object_id, None)
        self.model.forget(object_id)

    def step(self, tracks: Tracks) -> tuple[Masks | None, Seeds | None]:
        """The masks of one frame, None of a draft and where there is no answer; Seeds where they are waited for."""
        job = self.prepare(tracks)
        try:
            asked = self.decode(job, self.encode(job)) if job.queries or self.every_frame else Decoded(None, [])
        except ModelError as error:
            log.warning("frame %d is not decoded: %s", tracks.frame.stamp.frame_id, error)
            return None, self.give_up(job)
        objects, seeds = self.conclude(job, asked)
        return None if tracks.stage == "draft" else self.message(tracks, objects), seeds

    def prepare(self, tracks: Tracks) -> Job:
        """Take a frame's prompts, forget the objects that are gone, and say what the model is to be asked."""
        self._turn_to(tracks.frame.size)
        alive = {track.object_id for track in tracks.objects}
        for object_id in [i for i in self.objects if i not in alive]:
            self.forget(object_id)
        prompts = self._prompts(tracks)
        queries = [
            Query(track, prompts.get(track.object_id), self._is_lost(track.object_id)) for track in tracks.objects
        ]
        return Job(tracks, queries, [self.objects[q.object_id] for q in queries])

    def encode(self, job: Job) -> Embedding:
        """Run the model's first part. ModelError when it has no answer."""
        return self.embedding(job.tracks.frame)

    def embedding(self, frame: Frame) -> Embedding:
        """What the model keeps of a frame; not computed again for the one that it had last."""
        if self.newest is None or self.newest[0] != frame.stamp:
            self.newest = (frame.stamp, self.model.encode(frame.rgb))
        return self.newest[1]

    def decode(self, job: Job, embedding: Embedding) -> Decoded:
        """Run its second part."""
        return Decoded(embedding, self.model.decode(embedding, job.queries) if job.queries else [])

    def conclude(self, job: Job, asked: Decoded) -> tuple[list[ObjectMask], Seeds | None]:
        """Every object's mask and state by the model's answer; Seeds where the tracker waits for them."""
        tracks, size = job.tracks, job.tracks.frame.size
        self.decoded += tracks.stage != "draft"
        masks = exclusive(size, asked.answers)
        objects: list[ObjectMask] = []
        sources: list[ObjectMask] = []  # the masks that points may be drawn from
        verdicts: dict[int, Verdict] = {}
        for query, known, answer, mask in zip(job.queries, job.known, asked.answers, masks, strict=True):
            if self.objects.get(query.object_id) is known:
                published, verdict = self._judge(query, known, answer, mask, tracks)
                objects.append(published)
                sources.append(self._source(published, query, answer))
                verdicts[query.object_id] = verdict
                if self.variant != "A":  # it alone never goes back
                    known.since.append((tracks.frame.stamp.frame_id, published))
                    del known.since[: -self.horizon]
        self.model.learn(asked.embedding, verdicts)
        wanted = tracks.stage != "final" and (tracks.boundary or tracks.prompts or job.prompts)
        return objects, self.seeds(tracks, sources, job.prompts) if wanted else None

    def message(self, tracks: Tracks, objects: Sequence[ObjectMask]) -> Masks:
        """The masks of a frame, with the count of those that were passed over since the last."""
        stamp, last = tracks.frame.stamp, self.last
        gap = 0 if last is None or last.session != stamp.session else stamp.frame_id - last.frame_id - 1
        self.last = stamp
        return Masks(
            stamp=stamp,
            size=tracks.frame.size,
            objects=tuple(objects),
            passed_over=max(gap, 0),
            boundary=tracks.boundary,
        )

    # --- parts of a step --------------------------------------------------------------------------------------------

    def _turn_to(self, size: tuple[int, int]) -> None:
        if self.size is not None and self.size != size:
            self.model.resize(self.size, size)
            scale = size[0] * size[1] / (self.size[0] * self.size[1])
            for known in self.objects.values():
                known.good_area = round(known.good_area * scale)
                known.since.clear()
        self.size = size

    def _prompts(self, tracks: Tracks) -> dict[int, Prompt]:
        """The prompt to obey for each object; objects that begin are made. A `restore` of a known object is not one."""
        obeyed: dict[int, Prompt] = {}
        alive = {track.object_id for track in tracks.objects}
        for prompt in tracks.prompts:
            known = self.objects.get(prompt.object_id)
            # a decoder that was restarted may get frames before the prompts: it knows the object, but no mask
            if prompt.object_id not in alive or (prompt.kind == "restore" and known and known.good_area):
                continue
            if prompt.kind != "refine" and known and tracks.stage != "final":
                self.forget(prompt.object_id)
            obeyed[prompt.object_id] = prompt
        obeyed = {i: p for i, p in self.unanswered.items() if i in alive} | obeyed
        self.unanswered.clear()
        for object_id in alive:
            if object_id not in self.objects:
                self.objects[object_id] = Segmented(ObjectState(self.lost_after_frames, self.check_masks))
        return obeyed

    def _is_lost(self, object_id: int) -> bool:
        return self.objects[object_id].state.state == "lost"

    def _judge(
        self, query: Query, known: Segmented, answer: Logits, mask: Array, tracks: Tracks
    ) -> tuple[ObjectMask, Verdict]:
        """The message for one object, and what the model may learn from it."""
        track, size = query.track, tracks.frame.size
        area = int(np.count_nonzero(mask))
        evidence = judge(area, size[0] * size[1], answer.score, track, self.min_area_px, query.lost, self.limits)
        asks = self.ask_points and self.check_masks and query.prompt is None
        known.doubted = asks and self._is_doubtful(known, query, answer, mask, area)
        if (known.doubted and evidence == "clear") or (evidence == "missing" and area and not self.check_masks):
            evidence = "weak"
        counted = replace(known.state) if tracks.stage == "draft" else known.state  # a draft does not count
        state = counted.step(evidence, prompted=query.prompt is not None and evidence != "missing")
        shown = mask if state != "lost" and evidence != "missing" else np.zeros_like(mask)
        published = object_mask(track, answer, shown, state, "decoded")
        learnt = uncrop_mask(answer.window, mask, size) if evidence != "missing" else np.zeros(size, np.uint8)
        return published, Verdict(learnt, evidence == "clear" and state != "lost", state == "lost")

    def _source(self, published: ObjectMask, query: Query, answer: Logits) -> ObjectMask:
        """The mask that an object's points are drawn from; as it is published, or before others have their say."""
        if not self.own_seeds or (self.check_masks and not published.area):
            return published
        own = (answer.logits > 0).astype(np.uint8)
        return object_mask(query.track, answer, own, published.state, published.origin)

    def seeds(self, tracks: Tracks, objects: Sequence[ObjectMask], prompts: dict[int, Prompt]) -> Seeds:
        """The good masks among those asked for, each on the frame that its variant of re-initialisation chooses."""
        stamp, size = tracks.frame.stamp, tracks.frame.size
        chosen = {o.object_id: (stamp.frame_id, o) for o in objects}
        due = [i for i in tracks.due if i in chosen and i not in prompts]
        if self.variant != "A" and due:
            chosen |= self._choose(due)
        asked = {*tracks.due, *prompts, *(p.object_id for p in tracks.prompts)}
        seeds = []
        for object_id, (frame_id, o) in chosen.items():
            if object_id in asked and self._is_good(o, object_id in prompts, size):
                seeds.append(Seed(object_id=object_id, bbox=o.bbox, mask=o.mask, frame_id=frame_id))
                since = self.objects[object_id].since
                since[:] = [(i, m) for i, m in since if i >= frame_id]
        return Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=size, objects=tuple(seeds))

    def give_up(self, job: Job) -> Seeds:
        """The model has no answer: every object's old points stay, and prompts are obeyed on the next frame."""
        self.failed += job.tracks.stage != "draft"
        self.unanswered |= job.prompts
        stamp = job.tracks.frame.stamp
        return Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=job.tracks.frame.size)

    def _is_doubtful(self, known: Segmented, query: Query, answer: Logits, mask: Array, area: int) -> bool:
        """Whether a mask has grown beyond reason, or lies elsewhere than its points say."""
        grown = known.good_area > 0 and area > self.max_growth * known.good_area
        return grown or contradicted(query.track, answer.window, mask)

    def _choose(self, due: list[int]) -> dict[int, tuple[int, ObjectMask]]:
        """object_id -> the frame_id and the mask to start anew from, among the frames since the points were drawn."""
        windows = {i: self.objects[i].since for i in due}
        length = min(len(w) for w in windows.values())
        if length < 2:
            return {}
        areas = np.array([[m.area for _, m in w[-length:]] for w in windows.values()])
        picked = reinit.choose(self.variant, areas[:, 1:], areas[:, 0])
        return {i: windows[i][-length:][1 + int(k)] for i, k in zip(due, picked, strict=True)}

    def _is_good(self, o: ObjectMask, told: bool, size: tuple[int, int]) -> bool:
        """Whether new points may be drawn from a mask; if so, later ones are measured by its area."""
        known = self.objects[o.object_id]
        if not self.check_masks:
            return o.area > 0  # of an empty mask no points can be drawn
        if known.doubted and not told:
            return False
        if o.area < max(self.min_area_px, 1) or o.area > WHOLE_FRAME * size[0] * size[1]:
            return False
        if not told and known.good_area and o.area > self.max_growth * known.good_area:
            return False
        # Not the last one's area: an object that comes out from behind another grows without being suspect. The user's
        # word sets a new measure.
        known.good_area = o.area if told else max(o.area, round(FORGOTTEN * known.good_area))
        return True
