"""Tracker: frames and prompts in, every object's tracked points out. The idea is in `tracking.py`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from nodes.tracker.backends import make_client, make_model
from nodes.tracker.background_seeds import BackgroundSeeds
from nodes.tracker.pacing import Pacer
from nodes.tracker.tracking import PointTracker
from stream.commands import (
    ChooseCandidate,
    Command,
    DecoderRestarted,
    DiscoveryDone,
    FindObjects,
    GivePrompt,
    HoldFrame,
    ReleaseFrame,
    RemoveObject,
    StartTracker,
    UndoPoint,
)
from stream.errors import ControlError, ModelError, PromptError
from stream.messages import DiscoverObjects, Frame, FrameRef, Message, Prompt, Seeds, Stamp, Tracks
from stream.node import NodeContext, Stage
from stream.reports import Answer, Progress
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.requests import Urgency
from stream.scheduling.worker import ThreadWorker
from stream.settings.config import Config
from stream.settings.options import resolve

log = logging.getLogger(__name__)

BUDGET_S = 0.5  # capture to tracks, where a shared model chooses whom it serves first


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The tracker that the config asks for."""
    options = resolve(config).tracker
    pacer = Pacer(options.horizon - 1) if options.paced else None
    client = make_client(config.tracker, config.capture.camera, node.models)
    tracker = PointTracker(make_model(config.tracker, node.models, client), options)
    return TrackerStage(node, tracker, pacer, config.supervisor.step_timeout_s, client if config.live else None)


class TrackerStage(Stage):
    """Carries messages between the node and the tracker."""

    def __init__(
        self,
        node: NodeContext,
        tracker: PointTracker,
        pacer: Pacer | None,
        seeds_timeout_s: float,
        client: CameraClient | None = None,
    ) -> None:
        self.node = node
        self.tracker = tracker
        self.pacer = pacer  # None: a lossless feed, which leaves nothing out
        # draws points while a live feed goes on; None: a lossless feed waits for them, and is the same each time
        self.background = None if pacer is None else BackgroundSeeds(tracker, ThreadWorker(node.wake, "tracker-points"))
        self.client = client  # of a model that other cameras use, too, on a live feed
        self.seeds_timeout_s = seeds_timeout_s  # a decoder that takes longer is hung, and is restarted
        self.waiting_since_s: float | None = None
        self.discover = False  # the decoder is to look for objects on the frame that comes next (--auto)
        self.find_count = 0  # the same on the next frame, for so many new ones at most (by request)
        self.held_frame: Frame | None = None  # a lossless feed waits with that frame for what is found on it
        self.newest_id = -1  # frame_id of the newest frame tracked; -1: none
        self.tracked = 0  # frames
        self.passed_over = 0  # frames that were captured and never came here
        self.failed = 0  # frames that the model had no answer for

    def handle_command(self, command: Command) -> None:
        """Carry out a command; it takes effect on the next frame."""
        match command:
            case StartTracker():
                self.newest_id = command.newest_frame_id
                self.discover = command.discover
                if self.pacer is not None:
                    self.pacer.period.state(command.fps)
            case GivePrompt():
                self._give(command.prompt, command.request)
            case ChooseCandidate() as c:  # the decoder answers, unless the frame is gone
                choose = partial(self.tracker.past_prompts.choose, c.object_id, c.step, c.request)
                self._answer(c.request, choose, when_done=False)
            case HoldFrame():
                self._answer(command.request, partial(self._hold, command.frame))
            case ReleaseFrame():
                self.tracker.past.release(command.frame)
            case RemoveObject():
                self.tracker.remove(command.object_id)
            case UndoPoint():
                self._undo(command)
            case FindObjects():
                self.find_count = command.count
            case DiscoveryDone():
                self._track_held_frame()
            case DecoderRestarted():
                self.tracker.decoder_restarted()
                if self.held_frame is not None:  # the decoder might die of the same frame again
                    log.warning("the decoder died while it looked for objects; the feed goes on without any")
                    self._track_held_frame()
            case _:
                pass

    def wants(self, topic: str) -> bool:
        """Frames only while the tracker is ready for one; everything else at any time."""
        if topic != "frames":
            return True
        now_s = self.node.now_s()
        if self.pacer is None:
            return self.held_frame is None and not self._waits(self.tracker.must_wait, now_s)
        self.pacer.ready(now_s)
        return not self.pacer.early(now_s) and not self._waits(self.tracker.a_window_ahead, now_s)

    def step(self, message: Message) -> bool:
        """Take a frame, or the decoder's masks, which are no step of the feed; False where a frame is let go, too."""
        match message:
            case Frame():
                return self._take_frame(message)
            case Seeds():
                if self.background is None:
                    self.tracker.reseed(message)
                else:
                    self._taken(self.background.add(message))
        return False

    def on_idle(self) -> None:
        """Let the tracker have the points that have been drawn beside the feed."""
        if self.background is not None:
            self._taken(self.background.collect())

    def finish(self) -> None:
        """The feed has ended: send what waits for the boundary."""
        for answer in self.tracker.flush():
            self.node.send(answer)

    def progress(self) -> Progress:
        """Frames that were tracked, passed over and lost to the model."""
        return Progress(
            frame_id=self.newest_id,
            counters={"tracked": self.tracked, "passed_over": self.passed_over, "failed": self.failed},
        )

    # --- parts ------------------------------------------------------------------------------------------------------

    def _taken(self, seeds: Sequence[Seeds]) -> None:
        """The tracker has taken the masks of these frames."""
        if self.pacer is not None:
            for s in seeds:
                self.pacer.masks_came(s.frame_id, self.node.now_s())

    def _give(self, prompt: Prompt, request: int) -> None:
        if prompt.frame is not None or prompt.candidate is not None:
            self._answer(request, partial(self.tracker.prompt_on_frame, prompt))
            return
        try:
            match prompt.kind:
                case "add":
                    self.tracker.add(prompt)
                case "refine":
                    self.tracker.refine(prompt)
                case "restore":
                    self.tracker.restore(prompt)
        except PromptError as error:
            log.warning("%s", error)

    def _answer(self, request: int, act: Callable[[], None], *, when_done: bool = True) -> None:
        """Do what a request asks for, and answer it; where its frame is gone, with the reason."""
        self.tracker.past.tick(self.node.now_s())
        try:
            act()
        except (PromptError, ControlError) as error:
            code = error.code if isinstance(error, ControlError) else "frame_gone"
            self.node.report(Answer(request=request, error=str(error), code=code))
            return
        if when_done:
            self.node.report(Answer(request=request))
        for message in self.tracker.take_past_prompts():
            self.node.send(message)

    def _undo(self, command: UndoPoint) -> None:
        def undo() -> None:
            if not self.tracker.undo(command.object_id):
                raise ControlError(
                    "bad_params", f"object {command.object_id} has no points to take back but those that it began with"
                )

        self._answer(command.request, undo)

    def _hold(self, frame: FrameRef) -> None:
        self.tracker.past.pin(frame)

    def _take_frame(self, frame: Frame) -> bool:
        """Track a frame; False where it is held, comes before the stride is over, or the model has no answer."""
        stamp = frame.stamp
        if self.discover and self.pacer is None:
            self.discover, self.held_frame = False, frame
            self.node.send(DiscoverObjects(frame=frame))
            return False
        if self.pacer is not None:
            if not self.pacer.wants(stamp.frame_id, stamp.captured_ns):
                return False
            self.pacer.take(stamp.frame_id, stamp.captured_ns, self.node.now_s())
        self.tracker.past.tick(self.node.now_s())
        try:
            with self._asking(stamp):
                answers = self.tracker.step(frame)
        except ModelError as error:
            self.failed += 1
            log.warning("frame %d is passed over: %s", stamp.frame_id, error)
            return False
        self.tracked += 1
        self.passed_over += max(0, stamp.frame_id - self.newest_id - 1)
        self.newest_id = max(stamp.frame_id, self.newest_id)
        for answer in answers:
            self.node.send(answer)
            if isinstance(answer, Tracks):
                self._discover_on(answer)
                if answer.boundary and self.pacer is not None:
                    self.pacer.masks_asked_for(stamp.frame_id, self.node.now_s())
        if self.pacer is not None and self.tracker.window_ended:
            self.pacer.end_window()
        return True

    def _asking(self, stamp: Stamp) -> AbstractContextManager[None]:
        """What a shared model is asked for inside is of this frame."""
        if self.client is None:
            return nullcontext()
        return self.client.frame(Urgency.FRAME, stamp.captured_ns, BUDGET_S)

    def _discover_on(self, tracks: Tracks) -> None:
        """Let the decoder look for objects beside those that are tracked: on a live feed's first frame, by request."""
        following = len(tracks.objects)
        if self.discover:
            self.discover = False
            self.node.send(DiscoverObjects(frame=tracks.frame, following=following))
        elif self.find_count:
            self.node.send(DiscoverObjects(frame=tracks.frame, following=following, count=self.find_count))
            self.find_count = 0

    def _track_held_frame(self) -> None:
        """Track the frame that was held, if there is one, with the objects that were found on it."""
        frame, self.held_frame = self.held_frame, None
        if frame is not None:
            with self.node.measured_step():
                self._take_frame(frame)

    def _waits(self, must: bool, now_s: float) -> bool:
        """True while the next frame `must` wait for Seeds that are on their way, up to a limit."""
        if not must:
            self.waiting_since_s = None
            return False
        if self.waiting_since_s is None:
            self.waiting_since_s = now_s
        if now_s - self.waiting_since_s > self.seeds_timeout_s:
            log.warning(
                "no masks from the decoder for %g s; tracking goes on with the old points", self.seeds_timeout_s
            )
            self.tracker.give_up_waiting()
            return False
        return True
