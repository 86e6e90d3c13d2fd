"""Frames and prompts in, every object's tracked points out: the horizon, its anchor, and re-initialisation.

A window is the anchor frame and up to `horizon - 1` newer ones. Its last frame is the boundary: there every point
starts its next window, and the decoder is asked for masks (`Tracks.seeds_for`). Its answer, `Seeds`, replaces an
object's points by new ones drawn from the mask on the very frame it belongs to, caught up over the frames seen since
(paper, section 3.2, step 4; variant A). Until it comes, and for an object that it leaves out, the old points go on.

    frame   0  1  2  3  4  5  6  7  8  9 ...            horizon 8
            anchor ------------> boundary = next anchor
                                       Seeds of 7 arrive: new points start on 7 and are tracked over 8, 9

Without re-initialisation points live on, and each starts its next window where the model saw it clearly last (`link:
visible`; docs/sam_pt.md, b.5). Then `emit: horizon` answers with the frames that no later window will revise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from nodes.tracker import windows
from nodes.tracker.answers import Answer, PendingFrames, redone_tracks, request_reinit
from nodes.tracker.frame_buffer import BufferedFrame, FrameBuffer
from nodes.tracker.linking import make_linking
from nodes.tracker.past_frames import PastFrames
from nodes.tracker.point_model import PointModel
from nodes.tracker.point_set import PointSet
from nodes.tracker.prompt_queue import PromptQueue
from nodes.tracker.prompts_on_frames import PastPoints, PastPrompts
from nodes.tracker.sampling.point_sampling import DrawnPoints, PointSampler, RandomSources
from nodes.tracker.seed_targets import SeedTargets
from nodes.tracker.tracked_object import TrackedObject
from stream.crops import uncrop_mask
from stream.errors import PromptError
from stream.messages import Frame, Prompt, PromptOnFrame, ReinitRequest, Seeds, Tracks
from stream.settings.options import TrackerOptions

BUFFER_HORIZONS = 2  # how long Seeds may be on their way and still be caught up, in horizons


class PointTracker:
    """Follow the query points of every object through a feed, one horizon at a time."""

    def __init__(self, model: PointModel, options: TrackerOptions, random_sources: RandomSources | None = None) -> None:
        self.model = model
        self.horizon = options.horizon
        self.emit = options.emit
        self.reinit = options.reinit  # draw points anew from each boundary mask; off: only for objects that have none
        # the windows of all objects end on the same frame
        self.together = not options.reinit or options.reinit_variant in ("A", "D")
        # Seeds may be of an earlier frame than the last of a window
        self.goes_back = options.reinit and options.reinit_variant != "A"
        self.wait_for_seed = options.wait_for_seed
        self.revises = options.revises  # a window's later frames change where its points were
        self.redo_boundary = options.redo_boundary
        self.sampler = PointSampler(model, options, random_sources)
        self.buffer = FrameBuffer(BUFFER_HORIZONS * options.horizon)
        self.linking = make_linking(model, self.buffer, options)
        self.past = PastFrames(BUFFER_HORIZONS * options.horizon)
        self.past_points = PastPoints(model, self.buffer, self.past, self.linking, options.horizon)
        self.past_prompts = PastPrompts(self.past, self.past_points, self.sampler, options, self.together)
        self.seed_targets = SeedTargets(model, self.past_points, options.reinit)
        self.reset()

    def reset(self) -> None:
        """Forget the feed and every object."""
        self.buffer.clear()
        self.objects: dict[int, TrackedObject] = {}
        self.prompt_queue = PromptQueue()  # taken on the next frame
        self.past.clear()
        self.past_prompts.clear()
        self.pending = PendingFrames()
        self.awaited_seeds: set[int] = set()  # frame_ids whose Seeds have not come
        self.decoder_is_new = False  # the decoder was restarted, and has not been given the objects yet
        self.reinit_request: ReinitRequest | None = None  # for a boundary frame whose Tracks follow, with new points
        self.window_ended = True  # no window is open that needs evenly spaced frames

    @property
    def must_wait(self) -> bool:
        """True while a lossless feed must hold its next frame back, because Seeds are on their way."""
        return self.wait_for_seed and bool(self.awaited_seeds or self.past_prompts.awaited)

    @property
    def a_window_ahead(self) -> bool:
        """True when a whole window has been tracked past a frame whose Seeds are still on their way.

        A live feed stops there, too: further on, the frame would leave the buffer and the Seeds would come too late.
        """
        return bool(self.awaited_seeds) and self.buffer.count_from(min(self.awaited_seeds)) >= self.horizon

    def give_up_waiting(self) -> None:
        """Go on without the Seeds that are on their way; they are still used should they come."""
        self.awaited_seeds.clear()
        self.past_prompts.awaited.clear()

    # --- prompts: they take effect on the next frame ----------------------------------------------------------------

    def add(self, prompt: Prompt) -> None:
        """Track a new object; an id that is taken is given to the new object."""
        self.prompt_queue.add(prompt)

    def refine(self, prompt: Prompt) -> None:
        """Add the user's points to an object, until its points are drawn anew; PromptError when there is none."""
        if prompt.object_id not in self.object_ids:
            raise PromptError(f"object {prompt.object_id} can't be refined: there is none; add it first")
        self.prompt_queue.refine(prompt)

    def prompt_on_frame(self, prompt: Prompt) -> None:
        """Add or refine an object on the frame that its prompt names; PromptError where that is gone.

        Where it names none, but a candidate: on the newest that was answered. `take_past_prompts` carries it out.
        """
        followed = prompt.object_id in self.objects and prompt.object_id in self.object_ids
        if prompt.kind == "refine" and not followed:
            raise PromptError(f"object {prompt.object_id} can't be refined: there is none; add it first")
        self.past_prompts.add(prompt)

    def take_past_prompts(self) -> list[PromptOnFrame]:
        """Carry out the prompts on frames of the past; what the decoder is to do, before the next Tracks.

        None while it waits for the Tracks of a boundary that it has given Seeds for: they do not hold a new object.
        """
        return [] if self.reinit_request is not None else self.past_prompts.carry_out(self.objects)

    def undo(self, object_id: int) -> bool:
        """Bring an object back to what it was before its newest points; False where it has none but its first.

        PromptError where their frame is gone.
        """
        return self.prompt_queue.take_back(object_id) or self.past_prompts.step_back(object_id)

    def remove(self, object_id: int) -> None:
        """Stop tracking an object; an id that is unknown stays so."""
        self.prompt_queue.remove(object_id)
        self.past_prompts.forget(object_id)

    def restore(self, prompt: Prompt) -> None:
        """Track an object again after a node was restarted: its prompt holds its last mask, maybe a second old."""
        self.prompt_queue.add(prompt)

    def decoder_restarted(self) -> None:
        """Give the decoder every object again: `restore` prompts go out with the next frame."""
        self.decoder_is_new = True
        self.give_up_waiting()
        self.past_prompts.repeat_unanswered(self.objects)

    @property
    def object_ids(self) -> list[int]:
        """The ids of all objects alive, those included that begin with the next frame."""
        return self.prompt_queue.ids(self.objects)

    # --- a frame ----------------------------------------------------------------------------------------------------

    def step(self, frame: Frame) -> list[Answer]:
        """Take the newest frame; answer with its tracks, or (emit: horizon) with all since the last answer.

        A frame with prompts or at a boundary is always answered at once. A boundary frame that is to be decoded twice
        is answered with a ReinitRequest, and by the next step with its Tracks. A frame not newer than the last is
        ignored.
        """
        newest = self.buffer.newest
        if newest is not None and not _is_newer(frame, newest):
            return []
        features = self.model.encode(frame.rgb)  # a ModelError leaves everything as it was: the frame is passed over
        redone = self._redone_boundary()
        on_frames = self.take_past_prompts()
        prompts = self._follow_changes(frame, newest)
        prompts += self.prompt_queue.carry_out(self.objects, frame.size)
        due = self._due(prompts)
        buffered = self.buffer.push(frame, features)
        self._place_points(prompts, buffered)
        self.pending.push(frame, due)
        answers = self._answer(prompts, due)
        self._start_windows(due, buffered)
        self.window_ended = bool(due) or not self.objects
        if prompts or (due and self.reinit):
            self.awaited_seeds.add(buffered.frame_id)
        if due and self.redo_boundary:
            self.reinit_request = request_reinit(answers.pop())
            return [*redone, *on_frames, *self._recorded(answers), self.reinit_request]
        return [*redone, *on_frames, *self._recorded(answers)]

    def flush(self) -> list[Answer]:
        """The tracks of the frames that still wait: the feed has ended."""
        if self.reinit_request is not None:
            # The clip ends with the window: no window follows that points would be drawn for (docs/sam_pt.md, e.1).
            return [redone_tracks(self.reinit_request, self.reinit_request.objects)]
        if not self.pending:
            return []
        self.linking.reach(self._point_sets(self.objects), self.pending.newest_id)
        return [*self.pending.take(self.pending.newest_id, self.objects, [])]

    def reseed(self, seeds: Seeds, drawn: Mapping[int, DrawnPoints] | None = None) -> None:
        """Take the decoder's answer: new points on the frame it belongs to, caught up by the next step.

        `drawn`: where the points of an object, by its id, have been drawn before.
        """
        self.awaited_seeds = {i for i in self.awaited_seeds if i > seeds.frame_id}
        self.past_prompts.awaited.discard(seeds.frame_id)
        for seed in seeds.objects:
            target = self.seed_targets.find(seeds, seed, self.objects)
            if target is None:
                continue
            tracked, frame_id = target.tracked, target.frame_id
            tracked.keep_mask(seed, target.frame)
            if self.goes_back and not target.prompted and tracked.anchor is not None and frame_id < tracked.anchor:
                for o in self.objects.values() if self.together else [tracked]:
                    o.go_back([i for i in self.buffer.ids if i >= frame_id], self.horizon)
            if target.draws:
                draw = partial(
                    self.sampler.sample,
                    object_id=seed.object_id,
                    mask=uncrop_mask(seed.bbox, seed.mask, seeds.size),
                    objects=len(self.objects),
                    drawn=(drawn or {}).get(seed.object_id),
                )
                tracked.replace_points([self.past_points.draw(target.chain, draw, tracked.window_ends)])

    # --- parts of a step --------------------------------------------------------------------------------------------

    def _follow_changes(self, frame: Frame, newest: Frame | None) -> list[Prompt]:
        """The `restore` prompts that a new frame size or a new decoder calls for; not of objects that have just begun.

        A new size, or a frame count that begins again, empties the frame buffer.
        """
        begun = self.past_prompts.take_sent()
        if newest is None:
            return []
        resized = frame.size != newest.size
        recounted = frame.stamp.frame_id <= newest.stamp.frame_id
        if resized or recounted:
            self.buffer.clear()
            self.past.clear()
            self.give_up_waiting()
            self.pending.clear()  # their features are gone: these frames are passed over
            for o in self.objects.values():
                o.rescale(newest.size, frame.size, newest.stamp.frame_id, frame.stamp.frame_id)
        if not (self.decoder_is_new or resized):
            return []
        self.decoder_is_new = False
        on = frame if resized or recounted else newest  # where the masks have been carried to
        return [o.restore_prompt(on.stamp.frame_id) for o in self.objects.values() if o.object_id not in begun]

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

    def _recorded(self, answers: list[Tracks]) -> list[Tracks]:
        """The answers, which prompts may name from now on."""
        for tracks in answers:
            self.past.record(tracks)
        return answers

    def _place_points(self, prompts: list[Prompt], buffered: BufferedFrame) -> None:
        """Make query points of the points that were given for this frame; describe those that a new size moved."""
        if len(self.buffer.frames) == 1:
            for point_set in self._point_sets(self.objects):
                point_set.describe_again(self.model, buffered.features)
        for prompt in prompts:
            if prompt.xy is None or prompt.labels is None or prompt.kind == "restore":
                continue
            placed = self.sampler.place(buffered, prompt.object_id, DrawnPoints(prompt.xy, prompt.labels))
            tracked = self.objects[prompt.object_id]
            tracked.replace_points([*tracked.point_sets, placed])

    def _answer(self, prompts: list[Prompt], due: tuple[int, ...]) -> list[Tracks]:
        """Run the windows as far as an answer needs it; the tracks of the pending frames that can be given out now."""
        newest, point_sets = self.pending.newest_id, self._point_sets(self.objects)
        settled, unsettled = self.linking.settle(point_sets, newest), set(self.objects) if self.revises else set()
        if settled is None and due:
            self.linking.reach(self._point_sets(due), newest)
            settled = newest
            unsettled -= {*due}  # their window has ended, and no later one goes back behind its end
        if self.emit == "frame" or prompts or not self.objects:
            settled = newest
        if settled is None:
            return []
        if settled == newest:
            windows.advance(self.model, self.buffer, point_sets)
        return self.pending.take(settled, self.objects, prompts, unsettled)

    def _start_windows(self, due: tuple[int, ...], buffered: BufferedFrame) -> None:
        """Start the next window of the objects `due` on the newest frame, and the first one of those that are new."""
        oldest = self.buffer.ids[0]
        for tracked in (self.objects[i] for i in due):
            tracked.next_window(buffered.frame_id, self.linking.link(tracked.point_sets, buffered), oldest)
        running = [o.anchor for o in self.objects.values() if o.anchor is not None]
        for tracked in self.objects.values():
            if tracked.anchor is None:
                tracked.start_window(running[0] if running and self.together else buffered.frame_id)

    def _redone_boundary(self) -> list[Tracks]:
        """The Tracks of a boundary frame that only a ReinitRequest went out for, with the points drawn on it since."""
        request, self.reinit_request = self.reinit_request, None
        if request is None:
            return []
        tracked = [self.objects[o.object_id].track_at(request.frame) for o in request.objects]
        return self._recorded([redone_tracks(request, tracked)])

    def _point_sets(self, object_ids: Iterable[int]) -> list[PointSet]:
        return [point_set for i in object_ids for point_set in self.objects[i].point_sets]


def _is_newer(frame: Frame, newest: Frame) -> bool:
    """Whether a frame follows the newest. One of a session that counts from the start again (capture died) does."""
    new, old = frame.stamp, newest.stamp
    return new.frame_id > old.frame_id or new.session > old.session
