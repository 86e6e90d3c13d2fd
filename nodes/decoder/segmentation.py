"""Tracked points in, exclusive masks with honest states out, and the seeds that new points are drawn from.

The model answers every object with logits; each pixel goes to the object with the largest one, where that is positive
(spec d: softmax over objects with a background of 0). A boundary frame or a prompt is answered with Seeds, in which an
object with a bad mask is absent: its last good one stays what its points were drawn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodes.decoder.model import Logits, MaskModel, Query, Verdict
from nodes.decoder.states import WHOLE_FRAME, ObjectState, judge
from stream.messages import (
    Array,
    Masks,
    ObjectMask,
    Prompt,
    Seed,
    Seeds,
    Stamp,
    Tracks,
    crop_mask,
    uncrop_mask,
)

FORGOTTEN = 0.98  # share kept, at each seed, of the area that growth is measured by


@dataclass
class Segmented:
    """What the segmenter keeps of one object."""

    state: ObjectState
    good_area: int = 0  # px: the largest mask that seeded points, slowly forgotten; 0: none yet


class Segmenter:
    """Turn every object's points into a mask, frame by frame."""

    def __init__(
        self, model: MaskModel, *, min_area_px: int = 25, max_growth: float = 3.0, lost_after_frames: int = 8
    ) -> None:
        self.model = model
        self.min_area_px = min_area_px
        self.max_growth = max_growth
        self.lost_after_frames = lost_after_frames
        self.objects: dict[int, Segmented] = {}
        self.last: Stamp | None = None
        self.size: tuple[int, int] | None = None  # (H, W) of the last frame

    def reset(self) -> None:
        """Forget every object and the feed."""
        for object_id in list(self.objects):
            self.forget(object_id)
        self.last = self.size = None

    def forget(self, object_id: int) -> None:
        """Drop an object that the tracker no longer follows."""
        self.objects.pop(object_id, None)
        self.model.forget(object_id)

    def step(self, tracks: Tracks) -> tuple[Masks, Seeds | None]:
        """The masks of one frame; Seeds where the tracker waits for them (a boundary, a prompt)."""
        frame, stamp = tracks.frame, tracks.frame.stamp
        self._turn_to(frame.size)
        alive = {track.object_id for track in tracks.objects}
        for object_id in [i for i in self.objects if i not in alive]:
            self.forget(object_id)
        prompts = self._prompts(tracks)
        queries = [
            Query(track, prompts.get(track.object_id), self._is_lost(track.object_id)) for track in tracks.objects
        ]
        embedding = self.model.encode(frame.rgb)
        answers = self.model.decode(embedding, queries) if queries else []
        masks = exclusive(frame.size, answers)
        objects: list[ObjectMask] = []
        verdicts: dict[int, Verdict] = {}
        for query, answer, mask in zip(queries, answers, masks, strict=True):
            published, verdict = self._publish(query, answer, mask, frame.size)
            objects.append(published)
            verdicts[query.object_id] = verdict
        self.model.learn(embedding, verdicts)
        gap = 0 if self.last is None or self.last.session != stamp.session else stamp.frame_id - self.last.frame_id - 1
        self.last = stamp
        message = Masks(
            stamp=stamp,
            size=frame.size,
            objects=tuple(objects),
            passed_over=max(gap, 0),
            boundary=tracks.boundary,
        )
        asked = {*tracks.due, *(p.object_id for p in tracks.prompts)}
        return message, self._seeds(message, asked, prompts) if tracks.boundary or tracks.prompts else None

    # --- parts of a step --------------------------------------------------------------------------------------------

    def _turn_to(self, size: tuple[int, int]) -> None:
        if self.size is not None and self.size != size:
            self.model.resize(self.size, size)
            scale = size[0] * size[1] / (self.size[0] * self.size[1])
            for known in self.objects.values():
                known.good_area = round(known.good_area * scale)
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
            if prompt.kind != "refine" and known:
                self.forget(prompt.object_id)
            obeyed[prompt.object_id] = prompt
        for object_id in alive:
            if object_id not in self.objects:
                self.objects[object_id] = Segmented(ObjectState(self.lost_after_frames))
        return obeyed

    def _is_lost(self, object_id: int) -> bool:
        return self.objects[object_id].state.state == "lost"

    def _publish(self, query: Query, answer: Logits, mask: Array, size: tuple[int, int]) -> tuple[ObjectMask, Verdict]:
        """The message for one object, and what the model may learn from it."""
        known, track = self.objects[query.object_id], query.track
        area = int(np.count_nonzero(mask))
        evidence = judge(area, size[0] * size[1], answer.score, track, self.min_area_px, query.lost)
        state = known.state.step(evidence, prompted=query.prompt is not None and area > 0)
        window = answer.window
        shown = mask if state != "lost" and evidence != "missing" else np.zeros_like(mask)
        bbox, crop = crop_mask(shown)
        if bbox[2]:
            bbox = (bbox[0] + window[0], bbox[1] + window[1], bbox[2], bbox[3])
        published = ObjectMask(
            object_id=query.object_id,
            state=state,
            origin="decoded",
            score=float(np.clip(answer.score, 0, 1)),
            bbox=bbox,
            area=int(np.count_nonzero(crop)),
            mask=crop,
            xy=track.xy,
            visibility=track.visibility,
            labels=track.labels,
        )
        learnt = uncrop_mask(window, mask, size) if evidence != "missing" else np.zeros(size, np.uint8)
        return published, Verdict(learnt, evidence == "clear" and state != "lost", state == "lost")

    def _seeds(self, masks: Masks, asked: set[int], prompts: dict[int, Prompt]) -> Seeds:
        """The good masks among those asked for."""
        height, width = masks.size
        seeds = []
        for o in masks.objects:
            known = self.objects[o.object_id]
            if o.object_id not in asked or o.area < max(self.min_area_px, 1) or o.area > WHOLE_FRAME * height * width:
                continue
            told = o.object_id in prompts  # the user's word sets a new measure
            if not told and known.good_area and o.area > self.max_growth * known.good_area:
                continue
            # Not the last one's area: an object that comes out from behind another grows without being suspect.
            known.good_area = o.area if told else max(o.area, round(FORGOTTEN * known.good_area))
            seeds.append(Seed(object_id=o.object_id, bbox=o.bbox, mask=o.mask))
        stamp = masks.stamp
        return Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=masks.size, objects=tuple(seeds))


def exclusive(size: tuple[int, int], answers: Sequence[Logits]) -> list[Array]:
    """Each answer's (height, width) uint8 mask in its window: pixels where its logit is positive and the largest."""
    best = np.zeros(size, np.float32)
    owner = np.zeros(size, np.int16)
    for i, answer in enumerate(answers, start=1):
        x, y, width, height = answer.window
        here = (slice(y, y + height), slice(x, x + width))
        wins = answer.logits > best[here]
        best[here][wins] = answer.logits[wins]
        owner[here][wins] = i
    masks = []
    for i, answer in enumerate(answers, start=1):
        x, y, width, height = answer.window
        masks.append((owner[y : y + height, x : x + width] == i).astype(np.uint8))
    return masks
