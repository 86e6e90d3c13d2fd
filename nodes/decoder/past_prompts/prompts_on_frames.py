"""Prompts on frames of the past in; their masks there, and an object that is followed from the newest frame on, out.

The mask is made on the very frame that the prompt names, as if that were the first of a clip: the same prompt on the
same frame always gives the same mask, whatever came before. Then

    a model without memory (SAM)   nothing else: the Seeds of that frame go to the tracker, which catches up
    a model with memory (lite)     a second one follows the object alone through the frames since; its memory of it goes
                                   over to the live one, which goes on from the newest frame. Other objects notice
                                   nothing. Seeds go out of both frames
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from nodes.decoder.mask_model import ChoosingModel, Query, RememberingModel
from nodes.decoder.past_prompts.mask_history import MaskHistory
from nodes.decoder.segmentation import Segmenter
from stream.arrays import Array
from stream.errors import ModelError
from stream.messages import (
    VISIBLE,
    Frame,
    FrameRef,
    Masks,
    Message,
    ObjectMask,
    ObjectTrack,
    Prompt,
    PromptOnFrame,
    Seeds,
    TrackedFrame,
    Tracks,
)
from stream.reports import Answer, Report

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """Which of the masks that a prompt may mean was taken."""

    ref: FrameRef  # of the prompt's frame
    index: int
    of: int  # how many there are
    points: int  # that the prompt had then
    mask: Array | None  # (H, W) uint8; None: the one that it gives without a choice


@dataclass(frozen=True)
class Outcome:
    """What became of a prompt."""

    segmenter: Segmenter  # that has made it
    mask: ObjectMask | None  # on the newest frame that the segmenter has seen; None: the prompt gives no mask
    frame_id: int  # of that frame
    seeds: tuple[Seeds, ...]
    choice: Choice | None


class PromptsOnFrames:
    """Carries them out, one at a time."""

    def __init__(
        self,
        segmenter: Segmenter,
        send: Callable[[Message], None],
        report: Callable[[Report], None],
        keep: Callable[[ObjectMask, ObjectTrack, int], None] | None = None,
    ) -> None:
        """`keep` takes a mask, the points on its frame and that frame's id, where masks are carried to later ones."""
        self.segmenter = segmenter
        self.send = send
        self.report = report
        self.keep = keep
        self.history = MaskHistory()
        self.choices: dict[int, Choice] = {}  # by object: of its newest prompt
        self._remembers = isinstance(segmenter.model, RememberingModel)
        self._beside = Segmenter(segmenter.model, segmenter.options)  # of a model without memory; holds an embedding

    def record(self, masks: Masks) -> None:
        """Masks are published: more points of an object may be given on their frame."""
        if self._remembers:
            self.history.record(masks)

    def task(self, request: PromptOnFrame) -> PromptTask:
        """What carries out a prompt."""
        return PromptTask(self, request)

    # --- on the thread of the model -----------------------------------------------------------------------------------

    def make_mask(self, request: PromptOnFrame) -> Outcome:
        """The prompt's mask on its frame, followed to the newest; ModelError where the model has no answer."""
        on, object_id = request.on, request.prompt.object_id
        segmenter = self._fresh_segmenter()
        prompt, choice = self._resolve(segmenter, request)
        others = (
            [] if isinstance(segmenter.model, RememberingModel) else [t for t in on.objects if t.object_id != object_id]
        )
        first = Tracks(
            frame=on.frame, objects=(_track_of(object_id, on), *others), prompts=(prompt,), seeds_for=(object_id,)
        )
        masks, seeds = segmenter.step(first)
        if masks is None or seeds is None:
            raise ModelError("it has no answer")
        outcome = Outcome(segmenter, _mask_of(object_id, masks), on.frame.stamp.frame_id, (seeds,), choice)
        return self.follow(object_id, outcome, request.since)

    def follow(self, object_id: int, outcome: Outcome, frames: Sequence[Frame]) -> Outcome:
        """The outcome some frames later; Seeds of the last of them come in the place of those of an earlier call."""
        if outcome.mask is None:
            return outcome
        mask, frame_id, first_seeds = outcome.mask, outcome.frame_id, outcome.seeds[:1]
        newest_seeds = outcome.seeds[1:]
        for frame in frames:
            wanted = (object_id,) if frame is frames[-1] else ()
            tracks = Tracks(frame=frame, objects=(_without_points(object_id),), seeds_for=wanted)
            masks, seeds = outcome.segmenter.step(tracks)
            if masks is not None:
                mask, frame_id = masks.objects[0], frame.stamp.frame_id
            if seeds is not None:
                newest_seeds = (seeds,)
        return Outcome(outcome.segmenter, mask, frame_id, (*first_seeds, *newest_seeds), outcome.choice)

    def _fresh_segmenter(self) -> Segmenter:
        model = self.segmenter.model
        if isinstance(model, RememberingModel):
            return Segmenter(model.beside(), self.segmenter.options)
        for object_id in list(self._beside.objects):
            self._beside.forget(object_id)
        return self._beside

    def _resolve(self, segmenter: Segmenter, request: PromptOnFrame) -> tuple[Prompt, Choice | None]:
        """The prompt as the model is to get it, and which of its candidates that is, where one was ever chosen."""
        prompt, ref = request.prompt, FrameRef.of(request.on.frame.stamp)
        choice = self.choices.get(prompt.object_id)
        if choice is not None and choice.ref != ref:
            choice = None
        if prompt.step or prompt.candidate is not None:
            choice = self._choose(segmenter, request, choice)
        if choice is not None and choice.mask is not None:
            return _correcting(choice.mask, prompt, choice.points), choice
        return self._with_base(replace(prompt, step=0, candidate=None), request.on), choice

    def _choose(self, segmenter: Segmenter, request: PromptOnFrame, before: Choice | None) -> Choice:
        """The candidate that is asked for, by its number or by steps from the one `before`, else from the default."""
        opening, ref, model = _opening(request.prompt), FrameRef.of(request.on.frame.stamp), segmenter.model
        points = 0 if opening.xy is None else len(opening.xy)
        if not isinstance(model, ChoosingModel) or request.prompt.kind == "refine":
            return Choice(ref, 0, 1, points, None)
        query = Query(_track_of(opening.object_id, request.on), opening)
        offered = model.candidates(segmenter.embedding(request.on.frame), query)
        start = offered.default if before is None else before.index
        if request.prompt.candidate is not None:
            start = request.prompt.candidate
        index = int(np.clip(start + request.prompt.step, 0, len(offered.masks) - 1))
        mask = None if index == offered.default else offered.masks[index]
        return Choice(ref, index, len(offered.masks), points, mask)

    def _with_base(self, prompt: Prompt, on: TrackedFrame) -> Prompt:
        """The prompt with the mask that its points correct, where a model corrects masks (SAM takes all points)."""
        if not self._remembers:
            return prompt
        if prompt.kind == "refine":
            ref = FrameRef.of(on.frame.stamp)
            mask = self.history.find(prompt.object_id, ref)
            if mask is None:
                log.info("object %d has no mask on frame %d; its points count instead", prompt.object_id, ref.frame_id)
                return _with_tracked_points(prompt, _track_of(prompt.object_id, on))
            return _correcting(mask, prompt, 0)
        if prompt.corrections:
            opening = _opening(prompt)
            masks, _ = self._fresh_segmenter().step(_first_tracks(opening, on, ()))
            if masks is not None and masks.objects[0].area:
                first = 0 if opening.xy is None else len(opening.xy)
                return _correcting(masks.label_image() == prompt.object_id, prompt, first)
        return prompt

    # --- on the thread of the loop ------------------------------------------------------------------------------------

    def conclude(self, request: PromptOnFrame, outcome: Outcome | None) -> None:
        """Take over what was made, and tell who waits for it."""
        prompt, stamp = request.prompt, request.on.frame.stamp
        if outcome is not None and self.segmenter.size not in (None, outcome.segmenter.size):
            outcome = None  # frames have another size by now
        if outcome is None or (outcome.mask is None and prompt.kind == "refine"):
            self.segmenter.expect_no_more(prompt.object_id)
            self.send(Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=request.on.frame.size))
        else:
            self._adopt(prompt.object_id, request.on, outcome)
        if outcome is not None:
            self.choices.pop(prompt.object_id, None)
            if outcome.choice is not None:
                self.choices[prompt.object_id] = outcome.choice
            self.choices = {i: choice for i, choice in self.choices.items() if i in self.segmenter.objects}
        if request.request:
            choice = None if outcome is None else outcome.choice
            if choice is None:
                self.report(Answer(request=request.request, error="the mask model had no answer; try again"))
            else:
                self.report(
                    Answer(request=request.request, result={"candidate": choice.index, "candidates": choice.of})
                )

    def _adopt(self, object_id: int, on: TrackedFrame, outcome: Outcome) -> None:
        self.segmenter.adopt(object_id, outcome.segmenter)
        if self.keep is not None and outcome.mask is not None:
            on_it = outcome.frame_id == on.frame.stamp.frame_id
            track = _track_of(object_id, on) if on_it else _without_points(object_id)
            self.keep(outcome.mask, track, outcome.frame_id)
        for seeds in outcome.seeds:
            self.send(seeds)


class PromptTask:
    """A prompt on a past frame, as a `SlicedTask` and as a `FollowingTask`."""

    def __init__(self, prompts: PromptsOnFrames, request: PromptOnFrame) -> None:
        self.prompts = prompts
        self.request = request
        self.outcome: Outcome | None = None  # None: the model has no answer
        self.begun = False
        self.frames: deque[Frame] = deque()  # that have come since the request

    @property
    def object_id(self) -> int:
        """Of the prompt's object."""
        return self.request.prompt.object_id

    @property
    def behind(self) -> int:
        """How many frames are still to be followed."""
        return len(self.frames)

    def follow(self, frame: Frame) -> None:
        """One more frame that the live model has seen."""
        self.frames.append(frame)

    def thin_out(self, most: int) -> None:
        """Leave frames out evenly, never the newest, so that so many are to be followed at most."""
        frames, most = list(self.frames), min(most, len(self.frames))
        self.frames = deque(frames[(i + 1) * len(frames) // most - 1] for i in range(most))

    def step(self) -> bool:
        """Make the mask, and follow the object over all frames that have come."""
        frames = [self.frames.popleft() for _ in range(len(self.frames))]
        try:
            if not self.begun:
                self.begun = True
                self.outcome = self.prompts.make_mask(self.request)
            if self.outcome is not None and frames:
                self.outcome = self.prompts.follow(self.request.prompt.object_id, self.outcome, frames)
        except ModelError as error:
            frame_id, self.outcome = self.request.on.frame.stamp.frame_id, None
            log.warning("the prompt of object %d on frame %d: %s", self.request.prompt.object_id, frame_id, error)
        return True

    def finish(self) -> None:
        """Follow the object over what is left, and take it over."""
        if self.frames:
            self.step()
        self.prompts.conclude(self.request, self.outcome)

    def give_up(self) -> None:
        """The object was removed: nothing is made."""
        self.prompts.conclude(self.request, None)


def _track_of(object_id: int, on: TrackedFrame) -> ObjectTrack:
    """The object's points on a frame; none where it was not there yet."""
    return next((t for t in on.objects if t.object_id == object_id), _without_points(object_id))


def _mask_of(object_id: int, masks: Masks) -> ObjectMask | None:
    """An object's mask, if it has one."""
    return next((o for o in masks.objects if o.object_id == object_id and o.area), None)


def _first_tracks(prompt: Prompt, on: TrackedFrame, others: tuple[ObjectTrack, ...]) -> Tracks:
    """What a segmenter makes the mask of a prompt of."""
    objects = (_track_of(prompt.object_id, on), *others)
    return Tracks(frame=on.frame, objects=objects, prompts=(prompt,), seeds_for=(prompt.object_id,))


def _opening(prompt: Prompt) -> Prompt:
    """A prompt without the points that correct its mask, and without a choice."""
    opening = replace(prompt, step=0, candidate=None, corrections=0)
    if not prompt.corrections or prompt.xy is None or prompt.labels is None:
        return opening
    first = len(prompt.xy) - prompt.corrections
    return replace(opening, xy=prompt.xy[:first] if first else None, labels=prompt.labels[:first] if first else None)


def _correcting(mask: Array, prompt: Prompt, first: int) -> Prompt:
    """A prompt whose points from number `first` on correct a (H, W) mask."""
    corrected = Prompt(object_id=prompt.object_id, mask=mask.astype(np.uint8))
    if prompt.xy is None or prompt.labels is None or len(prompt.xy) <= first:
        return corrected
    return replace(corrected, xy=prompt.xy[first:], labels=prompt.labels[first:])


def _without_points(object_id: int) -> ObjectTrack:
    nothing = np.zeros(0, np.float32)
    return ObjectTrack(object_id=object_id, xy=nothing.reshape(0, 2), visibility=nothing, labels=np.zeros(0, np.uint8))


def _with_tracked_points(prompt: Prompt, track: ObjectTrack) -> Prompt:
    """Visible points of an object and those that the user adds, as a prompt of their own."""
    shown = track.visibility > VISIBLE
    xy = [track.xy[shown], prompt.xy] if prompt.xy is not None else [track.xy[shown]]
    labels = [track.labels[shown], prompt.labels] if prompt.labels is not None else [track.labels[shown]]
    return replace(prompt, kind="add", xy=np.concatenate(xy), labels=np.concatenate(labels))
