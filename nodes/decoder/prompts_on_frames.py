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
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from nodes.decoder.mask_history import MaskHistory
from nodes.decoder.mask_model import ChoosingModel, Query, RememberingModel
from nodes.decoder.segmentation import Segmenter
from stream.arrays import Array
from stream.errors import ModelError
from stream.messages import (
    VISIBLE,
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
    mask: ObjectMask | None  # on the prompt's frame; None: there is no mask
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
        """`keep` takes a mask, the points on its frame and that frame's id: where masks are carried by points."""
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
        prompt, choice = self._choose(segmenter, request, self._with_base(request))
        others = (
            [] if isinstance(segmenter.model, RememberingModel) else [t for t in on.objects if t.object_id != object_id]
        )
        first = Tracks(
            frame=on.frame, objects=(_track_of(object_id, on), *others), prompts=(prompt,), seeds_for=(object_id,)
        )
        masks, seeds = segmenter.step(first)
        if masks is None or seeds is None:
            raise ModelError("it has no answer")
        mask = next(o for o in masks.objects if o.object_id == object_id)
        answers = [seeds]
        for frame in request.since if mask.area else ():
            newest = frame is request.since[-1]
            track = _without_points(object_id)
            _, seeds = segmenter.step(Tracks(frame=frame, objects=(track,), seeds_for=(object_id,) if newest else ()))
            if seeds is not None:
                answers.append(seeds)
        return Outcome(segmenter, mask if mask.area else None, tuple(answers), choice)

    def _fresh_segmenter(self) -> Segmenter:
        model = self.segmenter.model
        if isinstance(model, RememberingModel):
            return Segmenter(model.beside(), self.segmenter.options)
        for object_id in list(self._beside.objects):
            self._beside.forget(object_id)
        return self._beside

    def _with_base(self, request: PromptOnFrame) -> Prompt:
        """The prompt with the mask that it corrects, where there is one."""
        prompt, ref = request.prompt, FrameRef.of(request.on.frame.stamp)
        choice = self.choices.get(prompt.object_id)
        if choice is not None and choice.ref == ref and choice.mask is not None and prompt.candidate is None:
            more = slice(choice.points, None)
            if prompt.xy is None or prompt.labels is None or not len(prompt.xy[more]):
                return prompt if prompt.step else replace(prompt, kind="add", xy=None, labels=None, mask=choice.mask)
            return replace(prompt, kind="add", xy=prompt.xy[more], labels=prompt.labels[more], mask=choice.mask)
        if prompt.kind != "refine" or not self._remembers:
            return prompt
        mask = self.history.find(prompt.object_id, ref)
        if mask is not None:
            return replace(prompt, kind="add", mask=mask)
        log.info("object %d has no mask on frame %d; its points there count instead", prompt.object_id, ref.frame_id)
        return _with_tracked_points(prompt, _track_of(prompt.object_id, request.on))

    def _choose(self, segmenter: Segmenter, request: PromptOnFrame, prompt: Prompt) -> tuple[Prompt, Choice | None]:
        """The prompt that gives the mask that is asked for, and which one that is."""
        if not prompt.step and prompt.candidate is None:
            return prompt, None
        frame, object_id, model = request.on.frame, prompt.object_id, segmenter.model
        ref, points = FrameRef.of(frame.stamp), 0 if prompt.xy is None else len(prompt.xy)
        before = self.choices.get(object_id)
        if not isinstance(model, ChoosingModel):
            return prompt, Choice(ref, 0, 1, points, None)
        query = Query(_track_of(object_id, request.on), replace(prompt, step=0, candidate=None))
        offered = model.candidates(segmenter.embedding(frame), query)
        start = offered.default if prompt.candidate is None else prompt.candidate
        if before is not None and before.ref == ref and prompt.step:
            start = before.index
        index = int(np.clip(start + prompt.step, 0, len(offered.masks) - 1))
        if index == offered.default:
            return replace(prompt, step=0, candidate=None), Choice(ref, index, len(offered.masks), points, None)
        mask = offered.masks[index]
        chosen = Choice(ref, index, len(offered.masks), points, mask)
        return Prompt(object_id=object_id, mask=mask), chosen

    # --- on the thread of the loop ------------------------------------------------------------------------------------

    def conclude(self, request: PromptOnFrame, outcome: Outcome | None) -> None:
        """Take over what was made, and tell who waits for it."""
        prompt, stamp = request.prompt, request.on.frame.stamp
        if outcome is None or (outcome.mask is None and prompt.kind == "refine"):
            self.send(Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=request.on.frame.size))
        else:
            self._adopt(prompt.object_id, stamp.frame_id, request.on, outcome)
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

    def _adopt(self, object_id: int, frame_id: int, on: TrackedFrame, outcome: Outcome) -> None:
        self.segmenter.adopt(object_id, outcome.segmenter)
        if self.keep is not None and outcome.mask is not None:
            self.keep(outcome.mask, _track_of(object_id, on), frame_id)
        for seeds in outcome.seeds:
            self.send(seeds)


class PromptTask:
    """A prompt on a past frame, as a `SlicedTask`."""

    def __init__(self, prompts: PromptsOnFrames, request: PromptOnFrame) -> None:
        self.prompts = prompts
        self.request = request
        self.outcome: Outcome | None = None  # None: the model has no answer

    def step(self) -> bool:
        """Make the mask."""
        try:
            self.outcome = self.prompts.make_mask(self.request)
        except ModelError as error:
            frame_id = self.request.on.frame.stamp.frame_id
            log.warning("the prompt of object %d on frame %d: %s", self.request.prompt.object_id, frame_id, error)
        return True

    def finish(self) -> None:
        """Take it over."""
        self.prompts.conclude(self.request, self.outcome)


def _track_of(object_id: int, on: TrackedFrame) -> ObjectTrack:
    """The object's points on a frame; none where it was not there yet."""
    return next((t for t in on.objects if t.object_id == object_id), _without_points(object_id))


def _without_points(object_id: int) -> ObjectTrack:
    nothing = np.zeros(0, np.float32)
    return ObjectTrack(object_id=object_id, xy=nothing.reshape(0, 2), visibility=nothing, labels=np.zeros(0, np.uint8))


def _with_tracked_points(prompt: Prompt, track: ObjectTrack) -> Prompt:
    """Visible points of an object and those that the user adds, as a prompt of their own."""
    shown = track.visibility > VISIBLE
    xy = [track.xy[shown], prompt.xy] if prompt.xy is not None else [track.xy[shown]]
    labels = [track.labels[shown], prompt.labels] if prompt.labels is not None else [track.labels[shown]]
    return replace(prompt, kind="add", xy=np.concatenate(xy), labels=np.concatenate(labels))
