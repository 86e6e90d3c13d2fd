"""What the nodes are told: where each begins, which objects it follows, when the feed is held.

What must outlive a node is kept here, for whichever starts anew: the objects, in a registry with its journal, and how
far the feed has got.
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace

from stream.errors import ControlError, PromptError
from stream.messages import Command, Masks, Prompt
from stream.reports import Found, Opened
from stream.settings.addresses import redact, source_kind
from stream.settings.config import Config
from stream.supervision.control import RequestHandler
from stream.supervision.lifecycle import Supervised
from stream.supervision.registry import Registry, check_prompt
from stream.supervision.snapshots import Reply, Snapshots

log = logging.getLogger(__name__)

JOURNAL_S = 1.0  # how much of what was last seen of the objects may be lost


class Company(Protocol):
    """The nodes, as their supervisor lends them to the director."""

    nodes: dict[str, Supervised]

    def tell(self, node: str, command: Command) -> None: ...
    def summary(self) -> dict[str, Any]: ...
    def stop(self) -> None: ...


class Session:
    """Directs the nodes of one camera; what control may ask of them it does as well (control.Graph)."""

    def __init__(self, config: Config, prompts: list[Prompt], company: Company) -> None:
        self.config = config
        self.company = company
        self.asked_for = prompts
        journal = config.supervisor.journal
        self.journal = Path(journal.replace("{camera}", config.capture.camera)) if journal else None
        self.registry = Registry.load(self.journal) if self.journal else Registry()
        self.desk = RequestHandler(self)
        self.snapshots = Snapshots()
        self.opened: Opened | None = None
        self.paused = False
        self.surveyed = False  # objects that nobody asked for have been looked for (--auto)
        self._opened_s = 0.0  # when the first frame came
        self._journal_at = math.inf

    # --- where each node begins ---

    def greet(self, node: str) -> None:
        """Tell a node that has just loaded where to begin."""
        nodes = self.company.nodes
        if self.opened is None and self._is_recording() and all(n.lives for n in nodes.values()):
            self._start_capture()  # the last of them has just loaded
        elif node == "capture" and (self.opened is not None or not self._is_recording()):
            self._start_capture()
        if node == "tracker":
            if self.opened is not None:
                self._start_tracker()
        elif node != "capture":
            self._tell(node, kind="start", session=nodes[node].lives - 1)
            if node == "decoder" and nodes[node].lives > 1:
                self.surveyed = True  # a decoder that died is not asked for it again: it may have died of it
                self._tell("tracker", kind="revive")

    def _is_recording(self) -> bool:
        """Whether the feed is a recording that plays at its own rate: its first second need not be lost to loading."""
        capture = self.config.capture
        return capture.realtime and source_kind(capture.source) not in ("camera", "rtsp")

    def _start_capture(self) -> None:
        if self.opened is None:
            self._tell("capture", kind="start")
        else:
            frame_id, session = self._resume_point(self.opened)
            self._tell(
                "capture",
                kind="start",
                again=True,
                frame_id=frame_id,
                session=session,
                epoch=self.opened.epoch,
                elapsed_s=time.monotonic() - self._opened_s,
            )
        if self.paused:
            self._tell("capture", kind="pause")

    def _resume_point(self, opened: Opened) -> tuple[int, int]:
        """(frame_id, session) that a new life of capture begins with, after what the last one got to.

        A file goes on after the newest frame that the tracker has had, so that none is lost. A live feed went on
        meanwhile: its ids go on by as many frames as it must have sent.
        """
        nodes = self.company.nodes
        if not self.config.live and source_kind(self.config.capture.source) != "rtsp":
            return nodes["tracker"].tally.newest + 1, opened.session
        newest, age_s = nodes["capture"].tally.newest_frame(time.monotonic())
        fps = opened.fps or 30.0
        return newest + 1 + math.ceil((age_s + 0.5) * max(fps, 1.0)), opened.session + 1

    def _start_tracker(self) -> None:
        for prompt in self.registry.prompts():
            self._tell("tracker", kind="prompt", prompt=prompt)
        newest = self.company.nodes["tracker"].tally.newest
        survey = self.config.decoder.auto > 0 and newest < 0 and not self.registry.entries and not self.surveyed
        self._tell("tracker", kind="start", frame_id=newest, survey=survey)

    def _tell(self, node: str, **values: Any) -> None:
        self.company.tell(node, Command(**values))

    # --- which objects are followed ---

    def open(self, opened: Opened) -> None:
        """The feed has a picture: at first, begin with what was asked for; PromptError where that does not fit."""
        first = self.opened is None
        self.opened = opened
        self.registry.size = opened.size
        if not first:
            return
        self._opened_s = time.monotonic()
        height, width = opened.size
        source, rate = redact(self.config.capture.source), f", {opened.fps:.4g} fps" if opened.fps else ""
        log.info("%s opened: %dx%d%s", source, width, height, rate)
        try:
            self._follow_asked(opened)
        except ControlError as error:
            raise PromptError(str(error)) from None
        if not self.registry.entries and not self.config.decoder.auto:
            log.info("no object is followed yet: add one with `python tools/ctl.py add --point X,Y`")
        self._journal_at = 0.0
        if self.company.nodes["tracker"].said_hello:
            self._start_tracker()

    def _follow_asked(self, opened: Opened) -> None:
        """Take in the prompts of the command line, or else those that the source suggests."""
        suggested = () if self.registry.entries or self.config.decoder.auto else opened.prompts
        for prompt in self.asked_for or suggested:
            if self.registry.knows(prompt):
                log.info("object %d is in the journal already; its prompt is not used again", prompt.object_id)
                continue
            if prompt.object_id < self.registry.next_id:
                log.info("id %d is used in the journal; the new object is %d", prompt.object_id, self.registry.next_id)
                prompt = replace(prompt, object_id=self.registry.next_id)
            check_prompt(prompt, opened.size)
            self.registry.add(prompt, opened.size)

    def follow(self, found: Found) -> None:
        """Follow what the decoder has found (--auto)."""
        late = found.survey and self.surveyed  # from the former life of a node
        waits = found.survey and not self.config.live  # the tracker does, with the frame of these masks
        ids = [] if late else self.desk.follow(found, self.config.decoder.auto, exact=waits)
        if found.survey:
            self.surveyed = True
            self._tell("tracker", kind="found")
        if ids or found.survey:
            log.info("objects found on frame %d: %s", found.frame_id, ", ".join(map(str, ids)) or "none")

    def observe(self, masks: Masks) -> None:
        """Keep what was last seen of the objects."""
        self.registry.observe(masks)
        self._journal_at = min(self._journal_at, time.monotonic() + JOURNAL_S)

    def save_when_due(self) -> None:
        """Write the journal if something has changed."""
        if time.monotonic() >= self._journal_at:
            self.save()

    def save(self) -> None:
        """Write the journal, if there is to be one."""
        self._journal_at = math.inf
        if self.journal is None:
            return
        try:
            self.registry.save(self.journal)
        except OSError as error:
            told = "supervisor.journal %s can't be written: %s"
            log.warning(told, self.journal, error.strerror, extra={"once_key": "journal"})

    # --- what control asks (control.Graph) ---

    def prompt(self, prompt: Prompt) -> None:
        """Give a prompt to the tracker."""
        self._journal_at = 0.0
        if self.company.nodes["tracker"].said_hello:
            self._tell("tracker", kind="prompt", prompt=prompt)

    def remove(self, object_id: int) -> None:
        """Take an object away."""
        self._journal_at = 0.0
        self._tell("tracker", kind="remove", object_id=object_id)

    def pause(self, on: bool) -> None:
        """Hold the feed, or let it go on."""
        self.paused = on
        self._tell("capture", kind="pause" if on else "resume")
        log.info("paused" if on else "resumed")

    def snapshot(self, answer: Reply) -> None:
        """Have the renderer write the newest frame."""
        self._tell("renderer", kind="snapshot", request=self.snapshots.ask(answer))

    def summary(self) -> dict[str, Any]:
        """The figures of the run so far, and what capture is doing."""
        return self.company.summary()

    def shut_down(self) -> None:
        """End the run once the reply is out."""
        self.company.stop()
