"""Tracker: frames and prompts in, every object's tracked points out. The idea is in `tracking.py`."""

from __future__ import annotations

import logging
import time

from msgspec.structs import replace

from nodes.tracker.backends import make_model
from nodes.tracker.pacing import Pacer
from nodes.tracker.tracking import PointTracker
from stream.errors import ModelError, PromptError
from stream.messages import Command, Frame, Seeds, Tracks
from stream.runtime import Runtime

log = logging.getLogger(__name__)


def main(node: Runtime) -> None:
    """Run the tracker until its stop signal."""
    shell = Shell(node)
    node.serve(
        {"commands": shell.obey, "seeds": shell.reseed, "frames": shell.step},
        feed="frames",
        takes=lambda topic: topic != "frames" or shell.ready(),
        finish=shell.finish,
    )


class Shell:
    """Carries messages between the sockets and the tracker."""

    def __init__(self, node: Runtime) -> None:
        own = node.config.tracker
        wait = own.wait_for_seed == "always" or (own.wait_for_seed == "auto" and not node.config.live)
        emit = own.emit if own.emit != "auto" else "frame" if node.config.live else "horizon"
        exact = own.backend == "pips" and not node.config.live  # nobody waits: as the paper does it, whatever it costs
        self.node = node
        self.waiting_since: float | None = None
        self.passed_over = 0  # frames that were captured and never came here
        self.pacer = Pacer(own.horizon - 1) if node.config.live else None  # a lossless feed leaves nothing out
        self.asked: dict[int, float] = {}  # boundary frame_id -> when the decoder was asked for its masks
        self.failed = 0  # frames that the model had no answer for
        self.survey = False  # the decoder is to look for objects on the frame that comes next (--auto)
        self.held: Frame | None = None  # a lossless feed waits with that frame for what it finds
        node.heartbeat.numbers = lambda: {"passed_over": self.passed_over, "failed": self.failed}
        self.tracker = PointTracker(
            make_model(own),
            horizon=own.horizon,
            emit=emit,
            reinit=own.reinit,
            reinit_variant=own.reinit_variant,
            link="visible" if exact and own.link == "auto" else own.link,
            positive_points=own.positive_points,
            negative_points=own.negative_points,
            patch_similarity=own.patch_similarity,
            seed=own.seed,
            wait_for_seed=wait,
            redo_boundary=wait and not node.config.live and node.config.decoder.backend != "lite",
        )

    def obey(self, command: Command) -> None:
        """Carry out a command; it takes effect on the next frame."""
        if command.kind == "start":
            self.node.heartbeat.frame_id = command.frame_id  # the newest that an earlier life has tracked, -1: none
            self.survey = command.survey
        prompt = command.prompt
        if command.kind == "prompt" and prompt is not None:
            try:
                {"add": self.tracker.add, "refine": self.tracker.refine, "restore": self.tracker.restore}[prompt.kind](
                    prompt
                )
            except PromptError as error:
                log.warning("%s", error)
        elif command.kind == "remove":
            self.tracker.remove(command.object_id)
        elif command.kind == "found":
            self.release()
        elif command.kind == "revive":
            self.tracker.revive()
            if self.held is not None:  # it might die of the same frame again
                log.warning("the decoder died while it looked for objects; the feed goes on without any")
                self.release()

    def release(self) -> None:
        """Track the frame that was held, if there is one, with the objects that were found on it."""
        frame, self.held = self.held, None
        if frame is not None:
            self.node.heartbeat.count(self.step, frame)

    def ready(self) -> bool:
        """True when the next frame may come. The runtime asks when the decoder can take its tracks."""
        now = time.monotonic()
        if self.pacer is None:
            return self.held is None and not self.waits(self.tracker.waiting, now)
        self.pacer.ready(now)
        return not self.pacer.early(now) and not self.waits(self.tracker.ahead, now)

    def step(self, frame: Frame) -> bool:
        """Track one frame; False where it is not its turn."""
        stamp = frame.stamp
        if self.survey and self.pacer is None:
            self.survey, self.held = False, frame
            self.node.send(Tracks(frame=frame, survey=True))
            return False
        if self.pacer is not None:
            if not self.pacer.wants(stamp.frame_id):
                return False
            self.pacer.take(stamp.frame_id, stamp.captured_ns, time.monotonic())
        try:
            answers = self.tracker.step(frame)
        except ModelError as error:
            self.failed += 1
            log.warning("frame %d is passed over: %s", stamp.frame_id, error)
            return False
        self.passed_over += max(0, stamp.frame_id - self.node.heartbeat.frame_id - 1)
        self.node.heartbeat.frame_id = max(stamp.frame_id, self.node.heartbeat.frame_id)
        for tracks in answers:
            self.node.send(replace(tracks, survey=self.survey))
            self.survey = False
            if tracks.boundary and tracks.stage != "final":
                self.asked = {stamp.frame_id: time.monotonic()}
        if self.pacer is not None and self.tracker.turned:
            self.pacer.turn()
        return True

    def reseed(self, seeds: Seeds) -> None:
        """Take the decoder's masks."""
        asked = self.asked.pop(seeds.frame_id, None)
        if self.pacer is not None and asked is not None:
            self.pacer.window_s = time.monotonic() - asked
        self.tracker.reseed(seeds)

    def waits(self, must: bool, now: float) -> bool:
        """True while the next frame `must` wait for seeds that are on their way, up to a limit."""
        if not must:
            self.waiting_since = None
            return False
        self.waiting_since = self.waiting_since or now
        limit_s = self.node.config.supervisor.step_timeout_s  # a decoder that takes longer is hung, and is restarted
        if now - self.waiting_since > limit_s:
            log.warning("no masks from the decoder for %g s; tracking goes on with the old points", limit_s)
            self.tracker.give_up_waiting()
            return False
        return True

    def finish(self) -> None:
        """The feed has ended: give out what waits for the boundary."""
        for tracks in self.tracker.flush():
            self.node.send(tracks)
