"""Frames and prompts in, every object's tracked points out: the horizon, its anchor, and re-seeding.

A window is the anchor frame and up to `horizon - 1` newer ones. Its last frame is the boundary: there every point
starts its next window, and the decoder is asked for masks (`Tracks.boundary`). Its answer, `Seeds`, replaces an
object's points by new ones drawn from the mask on the very frame it belongs to, caught up over the frames seen since
(paper, section 3.2, step 4; variant A). Until it comes, and for an object that it leaves out, the old points go on.

    frame   0  1  2  3  4  5  6  7  8  9 ...            horizon 8
            anchor ------------> boundary = next anchor
                                       Seeds of 7 arrive: new points start on 7 and are tracked over 8, 9

Without re-initialisation points live on, and each starts its next window where the model saw it clearly last (`link:
visible`; spec b.5). Then `emit: horizon` answers with the frames that no later window will revise.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from msgspec.structs import replace

from nodes.tracker import windows
from nodes.tracker.frame_buffer import FrameBuffer
from nodes.tracker.point_model import PointModel
from nodes.tracker.point_sampling import PointSampler, RandomSources
from nodes.tracker.point_set import PointSet
from nodes.tracker.prompt_queue import PromptQueue
from nodes.tracker.tracked_object import TrackedObject
from stream.crops import uncrop_mask
from stream.errors import PromptError
from stream.messages import Frame, Prompt, Seeds, Tracks

log = logging.getLogger(__name__)

RING_HORIZONS = 2  # how long a seed may be on its way and still be caught up, in horizons


@dataclass(frozen=True)
class Pending:
    """A frame whose Tracks wait, and the objects whose window ended on it."""

    frame: Frame
    due: tuple[int, ...]

    @property
    def frame_id(self) -> int:
        """The count that capture gave it."""
        return self.frame.stamp.frame_id


class PointTracker:
    """Follow the query points of every object through a live feed, one horizon at a time."""

    def __init__(
        self,
        model: PointModel,
        *,
        horizon: int = 8,
        emit: Literal["frame", "horizon"] = "frame",
        reinit: bool = True,
        reinit_variant: Literal["A", "B", "C", "D"] = "A",
        link: Literal["auto", "boundary", "visible"] = "auto",
        positive_points: int = 8,
        negative_points: int = 1,
        patch_similarity: float = 0.0,
        seed: int = 72,
        chance: RandomSources | None = None,
        wait_for_seed: bool = False,
        redo_boundary: bool = False,
    ) -> None:
        self.model = model
        self.horizon = horizon
        self.emit = emit
        self.reinit = reinit  # draw points anew from each boundary mask; off: only for objects that have none
        self.together = not reinit or reinit_variant in ("A", "D")  # the windows of all objects end on the same frame
        self.goes_back = reinit and reinit_variant != "A"  # seeds may be of an earlier frame than the last of a window
        self.link_visible = link == "visible" or (link == "auto" and not reinit)
        self.sampler = PointSampler(model, positive_points, negative_points, patch_similarity, seed, chance)
        self.wait_for_seed = wait_for_seed
        # a boundary frame is told again, with the points drawn on it, for the masks that count (paper; variant A alone)
        self.redo_boundary = redo_boundary and self.reinit and not self.goes_back
        self.buffer = FrameBuffer(RING_HORIZONS * horizon)
        self.reset()

    def reset(self) -> None:
        """Forget the feed and every object."""
        self.buffer.clear()
        self.objects: dict[int, TrackedObject] = {}
        self.prompt_queue = PromptQueue()  # taken on the next frame
        self.pending: list[Pending] = []  # frames whose Tracks wait for the boundary (emit: horizon)
        self.awaited: set[int] = set()  # frame_ids whose Seeds have not come
        self.reviving = False
        self.draft: Tracks | None = None  # of a boundary frame that is to be told again, with its new points
        self.turned = True  # no window is open that would want evenly spaced frames

    @property
    def waiting(self) -> bool:
        """True while a lossless feed must hold its next frame back, because Seeds are on their way."""
        return self.wait_for_seed and bool(self.awaited)

    @property
    def ahead(self) -> bool:
        """True when a whole window has been tracked past a frame whose Seeds are still on their way.

        A live feed stops there, too: further on, the frame would leave the ring and the Seeds would come too late.
        """
        return bool(self.awaited) and self.buffer.count_from(min(self.awaited)) >= self.horizon

    def give_up_waiting(self) -> None:
        """Go on without the Seeds that are on their way; they are still used should they come."""
        self.awaited.clear()

    # --- what is asked for: it takes effect on the next frame -------------------------------------------------------

    def add(self, prompt: Prompt) -> None:
        """Track a new object; an id that is taken is given to the new object."""
        self.prompt_queue.add(prompt)

    def refine(self, prompt: Prompt) -> None:
        """Add the user's points to an object, until its points are drawn anew; PromptError when there is none."""
        if prompt.object_id not in self.object_ids:
            raise PromptError(f"object {prompt.object_id} can't be refined: there is none; add it first")
        self.prompt_queue.refine(prompt)

    def remove(self, object_id: int) -> None:
        """Stop tracking an object; an id that is unknown stays so."""
        self.prompt_queue.remove(object_id)

    def restore(self, prompt: Prompt) -> None:
        """Track an object again after a node died: its prompt holds the last known mask, maybe a second old."""
        self.prompt_queue.add(prompt)

    def revive(self) -> None:
        """Tell a decoder that was restarted of every object: `restore` prompts go out with the next frame."""
        self.reviving = True
        self.awaited.clear()

    @property
    def object_ids(self) -> list[int]:
        """The ids of all objects alive, those included that begin with the next frame."""
        return self.prompt_queue.ids(self.objects)

    # --- a frame ----------------------------------------------------------------------------------------------------

    def step(self, frame: Frame) -> list[Tracks]:
        """Take the newest frame; answer with its tracks, or (emit: horizon) with all since the last answer.

        A frame with prompts or at a boundary is always answered at once. A frame not newer than the last is ignored.
        """
        newest = self.buffer.frames[-1].frame if self.buffer.frames else None
        if newest is not None and not _follows(frame, newest):
            return []
        frame_id = frame.stamp.frame_id
        features = self.model.encode(frame.rgb)  # a ModelError leaves everything as it was: the frame is passed over
        answers = self._finals()
        prompts = self._turn_to(frame, newest)
        prompts += self.prompt_queue.carry_out(self.objects, frame.size)
        due = self._due(prompts)
        self.buffer.push(frame, features)
        self._plant(prompts, frame)
        self.pending.append(Pending(frame, due))
        answers += self._answer(prompts, due)
        self._turn_windows(due)
        self.turned = bool(due) or not self.objects
        if prompts or (due and self.reinit):
            self.awaited.add(frame_id)
        if due and self.redo_boundary:
            answers[-1] = self.draft = replace(answers[-1], stage="draft")
        return answers

    def flush(self) -> list[Tracks]:
        """The tracks of the frames that still wait: the feed has ended."""
        if self.draft is not None:  # the clip ends with the window: there is no next one to draw points for (spec e.1)
            return [replace(self.draft, stage="final")]
        if not self.pending:
            return []
        self._reach(self._point_sets(), self.pending[-1].frame_id)
        return self._tell(self.pending[-1].frame_id, [])

    def reseed(self, seeds: Seeds) -> None:
        """Take the decoder's answer: new points on the frame it belongs to, caught up by the next step."""
        self.awaited = {i for i in self.awaited if i > seeds.frame_id}
        for seed in seeds.objects:
            frame_id = seeds.frame_id if seed.frame_id < 0 else seed.frame_id
            kept = self.buffer.find(frame_id)
            if kept is None or kept.frame.size != seeds.size or kept.frame.stamp.epoch != seeds.epoch:
                log.info("seeds of frame %d came too late; the old points stay", frame_id)
                continue
            known = self.objects.get(seed.object_id)
            if known is None or frame_id < known.mask_frame or seed.bbox[2] == 0:
                continue
            known.keep_mask(seed, seeds.size, frame_id)
            if self.goes_back and known.anchor is not None and frame_id < known.anchor:
                for o in self.objects.values() if self.together else [known]:
                    o.go_back([i for i in self.buffer.ids if i >= frame_id], self.horizon)
            if self.reinit or not known.point_sets:
                drawn = self.sampler.draw(kept, seed.object_id, uncrop_mask(seed.bbox, seed.mask, seeds.size))
                known.replace_points([self._caught_up(drawn, known.ends)])

    # --- parts of a step --------------------------------------------------------------------------------------------

    def _turn_to(self, frame: Frame, newest: Frame | None) -> list[Prompt]:
        """The prompts that a change of the feed or of the decoder calls for; a new geometry empties the ring."""
        if newest is None:
            return []
        resized = frame.size != newest.size
        recounted = frame.stamp.frame_id <= newest.stamp.frame_id
        if resized or recounted:
            self.buffer.clear()
            self.awaited.clear()
            self.pending.clear()  # their features are gone: these frames are passed over
            for o in self.objects.values():
                o.rescale(newest.size, frame.size, newest.stamp.frame_id, frame.stamp.frame_id)
        if not (self.reviving or resized):
            return []
        self.reviving = False
        on = frame if resized or recounted else newest  # where the masks have been carried to
        return [o.restoring(on.stamp.frame_id) for o in self.objects.values()]

    def _finals(self) -> list[Tracks]:
        """The boundary frame once more, with the points that were drawn on it since."""
        draft, self.draft = self.draft, None
        if draft is None:
            return []
        objects = tuple(self.objects[i].track_at(draft.frame) for i in (o.object_id for o in draft.objects))
        return [replace(draft, objects=objects, stage="final")]

    def _due(self, prompts: Sequence[Prompt]) -> tuple[int, ...]:
        """The objects for which the frame that comes now is the last of their window.

        Where the paper is followed to the letter, a new object ends the windows of the others (variant A, table 1). A
        live feed leaves them alone: each click would cost all the others their points.
        """
        full = self.horizon - 1
        joined = self.redo_boundary and any(p.kind == "add" for p in prompts)
        due = [
            o
            for o in self.objects.values()
            if o.anchor is not None and (joined or self.buffer.count_from(o.anchor) >= full)
        ]
        if due and self.together:
            due = list(self.objects.values())
        return tuple(o.object_id for o in due)

    def _plant(self, prompts: list[Prompt], frame: Frame) -> None:
        """Make query points of the points that were given for this frame; describe those that a new size moved."""
        kept = self.buffer.frames[-1]
        if len(self.buffer.frames) == 1:
            for point_set in self._point_sets():
                point_set.memory = np.array(self.model.describe(kept.features, point_set.xy))
        for prompt in prompts:
            if prompt.xy is None or prompt.labels is None or prompt.kind == "restore":
                continue
            new = self.sampler.plant(kept, prompt.object_id, prompt.xy, prompt.labels)
            known = self.objects[prompt.object_id]
            known.replace_points([*known.point_sets, new])

    def _answer(self, prompts: list[Prompt], due: tuple[int, ...]) -> list[Tracks]:
        """Run the windows as far as an answer needs it; the tracks of the pending frames that can be given out now."""
        newest, point_sets = self.pending[-1].frame_id, self._point_sets()
        at_once = self.emit == "frame" or bool(prompts) or not self.objects
        if self.link_visible and not self.reinit:
            windows.settle(self.model, self.buffer, point_sets, self.horizon)
            if not at_once:  # what lies before every anchor, no window will revise
                settled = windows.oldest_anchor(point_sets)
                return self._tell(newest if settled is None else settled, prompts)
        elif due:
            self._reach([point_set for i in due for point_set in self.objects[i].point_sets], newest)
            at_once = True
        if not at_once:
            return []
        windows.advance(self.model, self.buffer, point_sets)
        return self._tell(newest, prompts)

    def _reach(self, point_sets: Sequence[PointSet], frame_id: int) -> None:
        """Let points reach the last frame of their window."""
        if self.link_visible:
            windows.settle(self.model, self.buffer, point_sets, self.horizon, until=frame_id)
        else:
            windows.advance(self.model, self.buffer, point_sets, until=frame_id)

    def _turn_windows(self, due: tuple[int, ...]) -> None:
        """Start the next window of the objects `due` on the newest frame, and the first one of those that are new."""
        kept, oldest = self.buffer.frames[-1], self.buffer.ids[0]
        for known in (self.objects[i] for i in due):
            known.end_window(kept.frame_id, oldest)
            if self.reinit or not self.link_visible:
                known.point_sets = windows.link_all(self.model, known.point_sets, kept.frame_id, kept.features)
            for point_set in known.point_sets:
                point_set.forget_before(oldest)
        running = [o.anchor for o in self.objects.values() if o.anchor is not None]
        for known in self.objects.values():
            if known.anchor is None:
                known.anchor = running[0] if running and self.together else kept.frame_id

    def _caught_up(self, drawn: PointSet, ends: list[int]) -> PointSet:
        """Freshly drawn points, taken over the windows that have ended since as if they had been drawn in time."""
        if not len(drawn):
            return drawn
        if self.link_visible and not self.reinit:
            windows.settle(self.model, self.buffer, [drawn], self.horizon)
            return drawn
        for end in [i for i in ends if i > drawn.anchors[0]]:
            self._reach([drawn], end)
            [features] = self.buffer.features([end])
            [drawn] = windows.link_all(self.model, [drawn], end, features)
        return drawn

    def _point_sets(self) -> list[PointSet]:
        return [point_set for known in self.objects.values() for point_set in known.point_sets]

    def _tell(self, until: int, prompts: list[Prompt]) -> list[Tracks]:
        """The tracks of the pending frames up to id `until`; the prompts belong to the newest frame."""
        newest = self.pending[-1].frame_id
        told = [p for p in self.pending if p.frame_id <= until]
        self.pending = self.pending[len(told) :]
        return [
            Tracks(
                frame=p.frame,
                objects=tuple(o.track_at(p.frame) for o in self.objects.values()),
                prompts=tuple(prompts) if p.frame_id == newest else (),
                due=p.due,
            )
            for p in told
        ]


def _follows(frame: Frame, newest: Frame) -> bool:
    """Whether a frame is newer. A session that counts from the start again (capture died) is."""
    new, old = frame.stamp, newest.stamp
    return new.frame_id > old.frame_id or new.session > old.session
