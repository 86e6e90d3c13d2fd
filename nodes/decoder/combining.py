"""The models' answers in, masks that exclude each other out, and the message for one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nodes.decoder.mask_model import Logits, Query
from stream.arrays import Array
from stream.crops import crop_mask
from stream.messages import ObjectMask, ObjectTrack, Origin, State

OWNED_LOGIT = 1e3  # of pixels that a decoded mask has been given


def object_mask(
    track: ObjectTrack, answer: Logits, mask: Array, state: State, origin: Origin, reason: str = ""
) -> ObjectMask:
    """The message for one object: its mask (height, width) in the window of the model's answer; why it is doubted."""
    bbox, crop = crop_mask(mask)
    if bbox[2]:
        bbox = (bbox[0] + answer.window[0], bbox[1] + answer.window[1], bbox[2], bbox[3])
    return ObjectMask(
        object_id=track.object_id,
        state=state,
        origin=origin,
        score=float(np.clip(answer.score, 0, 1)),
        bbox=bbox,
        area=int(np.count_nonzero(crop)),
        mask=crop,
        xy=track.xy,
        visibility=track.visibility,
        labels=track.labels,
        reason=reason,
        points_final=track.points_final,
    )


def exclusive(size: tuple[int, int], answers: Sequence[Logits]) -> list[Array]:
    """Each answer's (height, width) uint8 mask in its window: pixels where its logit is positive and the largest."""
    if len(answers) == 1:  # nothing to compare with
        return [(answers[0].logits > 0).view(np.uint8)]
    best = np.zeros(size, np.float32)
    owner = np.zeros(size, np.uint8 if len(answers) < 256 else np.int16)
    for i, answer in enumerate(answers, start=1):
        x, y, width, height = answer.window
        inside = (slice(y, y + height), slice(x, x + width))
        wins = answer.logits > best[inside]
        np.maximum(best[inside], answer.logits, out=best[inside])
        np.copyto(owner[inside], i, where=wins)
    masks = []
    for i, answer in enumerate(answers, start=1):
        x, y, width, height = answer.window
        masks.append((owner[y : y + height, x : x + width] == i).view(np.uint8))
    return masks


def complete(
    size: tuple[int, int],
    queries: Sequence[Query],
    decoded: Sequence[ObjectMask],
    carried: Mapping[int, Logits],
    state_of: Callable[[int, Logits], tuple[State, Origin, str]],
) -> list[ObjectMask]:
    """The masks of all objects, in the order of `queries`: a carried one has no pixel of a decoded one.

    `state_of`: its state, origin and reason.
    """
    if not carried:
        return list(decoded)
    owned = [Logits(o.bbox, np.where(o.mask != 0, np.float32(OWNED_LOGIT), np.float32(-1)), 1) for o in decoded]
    masks = exclusive(size, [*owned, *carried.values()])[len(owned) :]
    found = {o.object_id: o for o in decoded}
    tracks = {q.object_id: q.track for q in queries}
    for (object_id, answer), mask in zip(carried.items(), masks, strict=True):
        state, origin, reason = state_of(object_id, answer)
        shown = np.zeros_like(mask) if state == "lost" else mask
        found[object_id] = object_mask(tracks[object_id], answer, shown, state, origin, reason)
    return [found[q.object_id] for q in queries if q.object_id in found]
