"""Prompts on frames of the past: what is asked for in, an object that has begun there and the decoder's request out.

A prompt is carried out on the very frame that it names: its points are placed there, and caught up over the frames
since, as those of Seeds are. A frame that has left the frame buffer is encoded again, with a few of the thinned frames
since, on which its points are taken as far as the oldest frame of the buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from nodes.tracker.frame_buffer import BufferedFrame, FrameBuffer
from nodes.tracker.linking import BoundaryLinking
from nodes.tracker.past_frames import PastFrames, Pin, thin, unchanged
from nodes.tracker.point_model import PointModel
from nodes.tracker.point_set import PointSet
from stream.arrays import Array
from stream.errors import PromptError
from stream.messages import Prompt, PromptOnFrame, TrackedFrame

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
    joined = prompt.kind == "refine" and before is not None and before.frame == ref
    if prompt.kind == "add":
        past.begin_steps(prompt.object_id)
    else:
        past.add_step(prompt.object_id, before if joined and before else unchanged(prompt.object_id, ref))
    if joined and before is not None:
        prompt = replace(
            before,
            xy=_joined(before.xy, prompt.xy, np.zeros((0, 2), np.float32)),
            labels=_joined(before.labels, prompt.labels, np.zeros(0, np.uint8)),
            candidate=None,
            step=0,
        )
    past.newest_prompts[prompt.object_id] = replace(prompt, candidate=None, step=0)
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
    return PastPrompt(back.prompt, pin, 0)


def choose_candidate(past: PastFrames, object_id: int, step: int, request: int) -> PastPrompt:
    """An object's newest prompt once more, for another of the masks that it may mean; PromptError where it is gone."""
    before = past.newest_prompts.get(object_id)
    if before is None or before.frame is None:
        raise PromptError(f"the frame of the newest prompt of object {object_id} is gone; give the prompt again")
    return PastPrompt(replace(before, step=step), past.pin(before.frame), request)


def request_mask(past: PastFrames, asked: PastPrompt, *, with_frames_since: bool) -> PromptOnFrame:
    """What the decoder is sent."""
    on, *since = past.chain(asked.pin)
    most = max(1, min(REPLAY_FRAMES, REPLAY_BYTES // on.frame.rgb.nbytes)) if with_frames_since else 0
    frames = thin([t.frame for t in since], most) if most else []
    return PromptOnFrame(prompt=asked.prompt, on=on, since=tuple(frames), request=asked.request)


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


def _joined(before: Array | None, more: Array | None, nothing: Array) -> Array:
    return np.concatenate([nothing if part is None else part for part in (before, more)])
