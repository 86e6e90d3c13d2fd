"""Prompts on frames of the past: what is asked for in, an object that has begun there and the decoder's request out.

A prompt is carried out on the very frame that it names: its points are placed there, and caught up over the frames
since, as those of Seeds are. A frame that has left the frame buffer is encoded again, with a few of the thinned frames
since, on which its points are taken as far as the oldest frame of the buffer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from msgspec.structs import replace

from nodes.tracker.frame_buffer import BufferedFrame, FrameBuffer
from nodes.tracker.linking import BoundaryLinking
from nodes.tracker.past_frames import PastFrames, Pin, thin, unchanged
from nodes.tracker.point_model import PointModel
from nodes.tracker.point_set import PointSet
from nodes.tracker.sampling.point_sampling import DrawnPoints, PointSampler
from nodes.tracker.tracked_object import TrackedObject
from stream.arrays import Array
from stream.errors import PromptError
from stream.messages import Frame, Prompt, PromptOnFrame, TrackedFrame
from stream.settings.options import TrackerOptions

REPLAY_FRAMES = 16  # that the decoder is sent at most, beside the prompt's own
REPLAY_BYTES = 64 << 20


@dataclass(frozen=True)
class PastPrompt:
    """A prompt that waits for the next step, and the pin that holds its frame until then."""

    prompt: Prompt
    pin: Pin
    request: int  # that the decoder answers; 0: nobody waits for that


def take_prompt(past: PastFrames, prompt: Prompt) -> PastPrompt:
    """A prompt on a past frame, with that frame pinned; PromptError where it is gone.

    More points on the frame of the object's newest prompt belong to that prompt: the mask is made of all of them.
    """
    ref = prompt.frame or past.newest()
    pin = past.pin(ref)
    prompt = replace(prompt, frame=ref)
    before = past.newest_prompts.get(prompt.object_id)
    joined = before if prompt.kind == "refine" and before is not None and before.frame == ref else None
    if prompt.kind == "add":
        past.begin_steps(prompt.object_id)
    else:
        past.add_step(prompt.object_id, joined or unchanged(prompt.object_id, ref))
    if joined is not None:
        earlier = joined.whole
        more = 0 if prompt.xy is None else len(prompt.xy)
        prompt = replace(
            earlier,
            xy=_joined(earlier.xy, prompt.xy, np.zeros((0, 2), np.float32)),
            labels=_joined(earlier.labels, prompt.labels, np.zeros(0, np.uint8)),
            corrections=earlier.corrections + more,
        )
    past.note_newest(replace(prompt, candidate=None, step=0))
    return PastPrompt(prompt, pin, 0)


def step_back(past: PastFrames, object_id: int) -> PastPrompt | None:
    """What brings an object back to what it was before its newest points; None where it has none but its first.

    PromptError where their frame is gone.
    """
    if not (steps := past.steps_back.get(object_id)):
        return None
    back = steps[-1]
    assert back.prompt.frame is not None, "every step back names its frame"
    pin = past.pin(back.prompt.frame)
    steps.pop()
    if back.newest is None:
        past.newest_prompts.pop(object_id, None)
    else:
        past.newest_prompts[object_id] = back.newest
    return PastPrompt(back.prompt.whole, pin, 0)


def choose_candidate(past: PastFrames, object_id: int, step: int, request: int) -> PastPrompt:
    """An object's newest prompt once more, for another of the masks that it may mean; PromptError where it is gone."""
    before = past.newest_prompts.get(object_id)
    if before is None or before.frame is None:
        raise PromptError(f"the frame of the newest prompt of object {object_id} is gone; give the prompt again")
    return PastPrompt(replace(before.whole, step=step), past.pin(before.frame), request)


class PastPoints:
    """Draws points on frames of the past, and takes them over the frames since."""

    def __init__(
        self, model: PointModel, buffer: FrameBuffer, past: PastFrames, linking: BoundaryLinking, horizon: int
    ) -> None:
        self.model = model
        self.buffer = buffer
        self.past = past
        self.linking = linking
        self.horizon = horizon

    def chain_from(self, frame_id: int, epoch: int) -> list[TrackedFrame]:
        """A frame of the buffer alone, or one that is pinned with those since; empty where it is gone."""
        buffered = self.buffer.find(frame_id)
        if buffered is None:
            return self.past.chain_from(frame_id, epoch)
        return [TrackedFrame(frame=buffered.frame)] if buffered.frame.stamp.epoch == epoch else []

    def draw(
        self, chain: Sequence[TrackedFrame], draw: Callable[[BufferedFrame], PointSet], window_ends: Sequence[int]
    ) -> PointSet:
        """Points drawn on the first frame of a chain, taken over the windows that have ended since."""
        buffered = self.buffer.find(chain[0].frame.stamp.frame_id)
        drawn = self._bring_in(chain, draw) if buffered is None else draw(buffered)
        return self.linking.catch_up(drawn, window_ends)

    def _bring_in(self, chain: Sequence[TrackedFrame], draw: Callable[[BufferedFrame], PointSet]) -> PointSet:
        """Points drawn on a frame older than the buffer, taken to the oldest frame of the buffer.

        Of the frames between, as many are encoded again as one window holds.
        """
        first, oldest = chain[0].frame, self.buffer.frames[0]
        buffered = BufferedFrame(first, self.model.encode(first.rgb))
        drawn = draw(buffered)
        between = [t.frame for t in chain[1:] if t.frame.stamp.frame_id < oldest.frame_id]
        bridge = FrameBuffer(self.horizon)
        bridge.frames.append(buffered)
        for frame in thin(between, self.horizon - 2) if self.horizon > 2 else []:
            bridge.push(frame, self.model.encode(frame.rgb))
        bridge.frames.append(oldest)
        return BoundaryLinking(self.model, bridge, self.horizon).catch_up(drawn, [oldest.frame_id])


class PastPrompts:
    """Prompts on frames of the past, from when they are given until the decoder has answered them."""

    def __init__(
        self, past: PastFrames, points: PastPoints, sampler: PointSampler, options: TrackerOptions, together: bool
    ) -> None:
        """`together`: the windows of all objects end on the same frame."""
        self.past = past
        self.points = points
        self.sampler = sampler
        self.horizon = options.horizon
        self.replays = options.replays
        self.together = together
        self.clear()

    def clear(self) -> None:
        """Forget all of them."""
        self.waiting: list[PastPrompt] = []  # to be sent to the decoder
        self.sent: set[int] = set()  # objects that it was sent such prompts of since the last frame
        self.awaited: set[int] = set()  # frame_ids whose Seeds have not come

    def add(self, prompt: Prompt) -> None:
        """A prompt on the frame that it names (none: the newest that was answered); PromptError where that is gone."""
        self.waiting.append(take_prompt(self.past, prompt))

    def choose(self, object_id: int, step: int, request: int) -> None:
        """An object's newest prompt, for another of the masks that it may mean; PromptError where its frame is gone."""
        self.waiting.append(choose_candidate(self.past, object_id, step, request))

    def step_back(self, object_id: int) -> bool:
        """Take an object's newest points back; False: it has none but its first. PromptError: the frame is gone."""
        back = step_back(self.past, object_id)
        self.waiting += [] if back is None else [back]
        return back is not None

    def forget(self, object_id: int) -> None:
        """The object is removed."""
        self.past.forget(object_id)
        self.waiting = [p for p in self.waiting if p.prompt.object_id != object_id]

    def repeat_unanswered(self, objects: Mapping[int, TrackedObject]) -> None:
        """The decoder was restarted: give it the prompts again whose first mask has not come."""
        self.sent.clear()
        for o in objects.values():
            prompt = self.past.newest_prompts.get(o.object_id)
            if not o.has_mask and o.prompt_frame >= 0 and prompt is not None and prompt.frame is not None:
                with contextlib.suppress(PromptError):  # its frame is gone: it begins on the next one
                    self.waiting.append(PastPrompt(prompt.whole, self.past.pin(prompt.frame), 0))

    def take_sent(self) -> set[int]:
        """The objects that the decoder was sent prompts of since the last call."""
        sent, self.sent = self.sent, set()
        return sent

    def carry_out(self, objects: dict[int, TrackedObject]) -> list[PromptOnFrame]:
        """Let objects begin, or go on, on the frames that were named; what the decoder is sent."""
        asked, self.waiting = self.waiting, []
        return [self._begin(p, objects) for p in asked]

    def _begin(self, asked: PastPrompt, objects: dict[int, TrackedObject]) -> PromptOnFrame:
        prompt, chain = asked.prompt, self.past.chain(asked.pin)
        on, frame_id = chain[0], chain[0].frame.stamp.frame_id
        first = TrackedObject(prompt.object_id, replace(prompt, frame=None, candidate=None))
        tracked = objects.setdefault(prompt.object_id, first)
        others = [o for o in objects.values() if o is not tracked and o.anchor is not None]
        tracked.begin_on(
            [frame_id, *(i for i in self.points.buffer.ids if i > frame_id)],
            self.horizon,
            redraw=bool(prompt.step) or prompt.candidate is not None or prompt.xy is None,
            like=others[0] if others and self.together else None,
        )
        if prompt.xy is not None and prompt.labels is not None and not prompt.step:
            points = DrawnPoints(prompt.xy, prompt.labels)
            place = partial(self.sampler.place, object_id=prompt.object_id, points=points)
            placed = self.points.draw(chain, place, tracked.window_ends)
            tracked.replace_points([*(tracked.point_sets if prompt.kind == "refine" else ()), placed])
        self.sent.add(prompt.object_id)
        self.awaited.add(frame_id)
        return PromptOnFrame(prompt=prompt, on=on, since=self._since(chain), request=asked.request)

    def _since(self, chain: Sequence[TrackedFrame]) -> tuple[Frame, ...]:
        """The frames since a prompt that the decoder is sent."""
        if not self.replays:
            return ()
        most = max(1, min(REPLAY_FRAMES, REPLAY_BYTES // chain[0].frame.rgb.nbytes))
        return tuple(thin([t.frame for t in chain[1:]], most))


def _joined(before: Array | None, more: Array | None, nothing: Array) -> Array:
    return np.concatenate([nothing if part is None else part for part in (before, more)])
