"""The session of one camera: what nodes report, what clients request, and time, in; commands to the nodes out.

What must outlive a node is kept here, for when it is restarted: the objects (in a registry), how far the feed has got,
and whether it is paused. Nothing here knows sockets, files, processes or the clock: every event brings its time, and
what is to be done goes to the outbox (`actions.py`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from stream.commands import (
    ChooseCandidate,
    Command,
    DecoderRestarted,
    DiscoveryDone,
    GivePrompt,
    Pause,
    Record,
    RemoveObject,
    RepeatPicture,
    Resume,
    SetLabels,
    SetZones,
    Start,
    StartCapture,
    StartTracker,
    Stop,
    TakeSnapshot,
    UndoPoint,
)
from stream.errors import ControlError, PromptError, StreamError
from stream.messages import Masks, Prompt
from stream.reports import Found, Health, Opened
from stream.settings.addresses import LIVE_KINDS, source_kind
from stream.settings.config import Config
from stream.settings.recordings import recording_node
from stream.settings.secrets import redact
from stream.supervision.actions import EndRun, Outbox, SaveJournal, SendCommand
from stream.supervision.followed_objects import LABELLED, FollowedObjects
from stream.supervision.journal import to_journal, to_zones
from stream.supervision.registry import Registry
from stream.supervision.resume_points import NodeState, resume_point
from stream.supervision.zone_book import ZoneBook
from stream.topology import Graph

log = logging.getLogger(__name__)

SHOWN = (GivePrompt, ChooseCandidate, UndoPoint, RemoveObject, SetLabels, TakeSnapshot)  # seen in a picture alone
JOURNAL_S = 1.0  # how much of what was last seen of the objects may be lost


class Session:
    """The nodes' commands, the objects and the resume points of one camera."""

    def __init__(
        self, config: Config, graph: Graph, prompts: Sequence[Prompt], registry: Registry, outbox: Outbox
    ) -> None:
        self.config = config
        self.prompts = prompts  # of the command line
        self.registry = registry
        self.zones = ZoneBook(config.zones, registry.zone_changes)
        self.objects = FollowedObjects(config, registry, self._send_if_loaded)
        self.nodes = {name: NodeState() for name in graph.supervised}
        self.opened: Opened | None = None  # the newest report of an open source
        self.paused = False
        self.discovery_done = False  # the first search for objects is over, or given up (--auto)
        self.recorder = recording_node(config) or "renderer"  # the node that records
        self._sinks = graph.sinks
        self._record: Record | None = None  # what was asked for last; None: as the config says
        self._outbox = outbox
        self._done: set[str] = set()  # nodes that have passed on the end of the feed
        self._opened_s = 0.0  # when the source was first open
        self._journal_at_s = math.inf  # when the journal is to be written

    def configure(self, config: Config, graph: Graph) -> None:
        """Go on with this config; its nodes are restarted where they have to be."""
        self.config = config
        self.objects.configure(config)
        self._sinks = graph.sinks

    # --- what nodes report ---

    def on_hello(self, node: str, now_s: float) -> None:
        """A node has loaded: tell it where to begin."""
        state = self.nodes[node]
        state.load()
        if self.opened is None and self._is_recording() and all(n.loads for n in self.nodes.values()):
            self._start_capture(now_s)  # the last of them has just loaded
        elif node == "capture" and (self.opened is not None or not self._is_recording()):
            self._start_capture(now_s)
        if node == "tracker":
            if self.opened is not None:
                self._start_tracker()
        elif node != "capture":
            self._send(node, Start(restarts=state.loads - 1))
            if node in LABELLED and self.registry.labels:
                self._send(node, SetLabels(labels=self.registry.labels))
            if node == "decoder" and state.loads > 1:
                self.discovery_done = True  # it may have died of the search, and is not asked for it again
                self._send("tracker", DecoderRestarted())
        if node == self.recorder and self._record is not None:
            self._send(node, self._record)
        if node == "publisher" and self.zones.changed:
            self._send(node, SetZones(zones=self.zones.zones))

    def on_restart(self, node: str) -> None:
        """A node has ended and is restarted; until it says hello, it takes no commands."""
        self.nodes[node].unload()

    def on_health(self, health: Health, now_s: float) -> None:
        """A node's heartbeat has come."""
        if health.progress.frame_id >= 0:
            self.nodes[health.node].reach(health.progress.frame_id, now_s)

    def on_opened(self, opened: Opened, now_s: float) -> None:
        """The source is open; the first time, the prompts are followed, or the run ends where they do not fit."""
        first = self.opened is None
        self.opened = opened
        self.nodes["capture"].open(now_s)
        self.registry.resize(opened.size)
        if not first:
            return
        self._opened_s = now_s
        height, width = opened.size
        source, rate = redact(self.config.capture.source), f", {opened.fps:.4g} fps" if opened.fps else ""
        log.info("%s opened: %dx%d%s", source, width, height, rate)
        try:
            self.objects.take_first_prompts(self.prompts, opened)
        except ControlError as error:
            self.end_run(PromptError(str(error)))
            return
        if not self.registry.entries and not self.config.decoder.auto:
            log.info("no object is followed yet: add one with `python tools/ctl.py add --point X,Y`")
        self._journal_at_s = now_s
        if self.nodes["tracker"].loaded:
            self._start_tracker()

    def on_found(self, found: Found) -> None:
        """The decoder has found objects that no prompt named: follow them, the best first."""
        late = found.requested and self.discovery_done  # from before a restart of the decoder
        # On a finished clip the tracker waits with the very frame of these masks; on a live feed it has gone on.
        exact = found.requested and not self.config.live
        ids = [] if late else self.objects.take_found(found, exact=exact)
        if found.requested:
            self.discovery_done = True
            self._send("tracker", DiscoveryDone())
        if ids or found.requested or found.count:
            log.info("objects found on frame %d: %s", found.frame_id, ", ".join(map(str, ids)) or "none")

    def on_masks(self, masks: Masks, now_s: float) -> None:
        """Masks were published: keep them for a restart."""
        self.objects.observe(masks)
        self._journal_at_s = min(self._journal_at_s, now_s + JOURNAL_S)

    @property
    def feed_ended(self) -> bool:
        """Whether every sink has seen the feed's end: nobody stopped it before."""
        return self._done >= set(self._sinks)

    def on_done(self, node: str) -> None:
        """A node has passed on the end of the feed; the run is over once every sink has."""
        before = self.feed_ended
        self._done.add(node)
        if not before and self.feed_ended:
            log.info("the feed has ended")
            self.end_run()

    # --- time ---

    def on_tick(self, now_s: float) -> None:
        """Write the journal, if something has changed."""
        if self.objects.take_change() or now_s >= self._journal_at_s:
            self._save_journal()

    def on_end(self) -> None:
        """The run is over: write the journal, and stop every node."""
        self._save_journal()
        for node in self.nodes:
            self._send(node, Stop())

    # --- what clients request (control.py) ---

    def pause(self) -> None:
        """Hold the feed."""
        self.paused = True
        self._send("capture", Pause())
        log.info("paused")

    def resume(self) -> None:
        """Let the feed go on."""
        self.paused = False
        self._send("capture", Resume())
        log.info("resumed")

    def take_snapshot(self, request: int) -> None:
        """Have the renderer write the newest frame."""
        self._send("renderer", TakeSnapshot(request=request))

    def record(self, on: bool, request: int) -> None:
        """Have the recording node record from now on, or no longer, also when it is restarted."""
        self._record = Record(on=on, request=request)
        self._send_if_loaded(self.recorder, self._record)

    def set_zone(self, name: str, kind: str, values: dict[str, Any]) -> None:
        """Draw a zone or a line; ControlError where it is none."""
        self.zones.put(name, kind, values)
        self._zones_changed()

    def remove_zone(self, name: str) -> None:
        """Take a zone or a line away; ControlError where there is none of that name."""
        self.zones.remove(name)
        self._zones_changed()

    def end_run(self, error: StreamError | None = None) -> None:
        """End the run."""
        self._outbox.put(EndRun(error))

    # --- where nodes begin ---

    def _is_recording(self) -> bool:
        """Whether the feed is a recording that plays at its own rate: its first second need not be lost to loading."""
        capture = self.config.capture
        return capture.realtime and source_kind(capture.source) not in LIVE_KINDS

    def _start_capture(self, now_s: float) -> None:
        if self.opened is None:
            self._send("capture", StartCapture())
        else:
            capture, tracker = self.nodes["capture"], self.nodes["tracker"]
            frame_id, session = resume_point(self.opened, capture, tracker, now_s, live=self.config.live)
            start = StartCapture(
                frame_id=frame_id,
                session=session,
                epoch=self.opened.epoch,
                elapsed_s=now_s - self._opened_s,
                opened_before=True,
            )
            self._send("capture", start)
        if self.paused:
            self._send("capture", Pause())

    def _start_tracker(self) -> None:
        for prompt in self.registry.prompts():
            self._send("tracker", GivePrompt(prompt=prompt))
        newest = self.nodes["tracker"].newest_frame_id
        discover = self.config.decoder.auto > 0 and newest < 0 and not self.registry.entries and not self.discovery_done
        fps = self.opened.fps if self.opened is not None else None
        self._send("tracker", StartTracker(newest_frame_id=newest, fps=fps, discover=discover))

    # --- what goes out ---

    def _zones_changed(self) -> None:
        self._save_journal()
        self._send_if_loaded("publisher", SetZones(zones=self.zones.zones))

    def _save_journal(self) -> None:
        self._journal_at_s = math.inf
        if self.config.supervisor.state:
            self._outbox.put(SaveJournal(to_journal(self.registry, with_zones=False), to_zones(self.registry)))
        elif self.config.supervisor.journal:
            self._outbox.put(SaveJournal(to_journal(self.registry)))

    def _send(self, node: str, command: Command) -> None:
        self._outbox.put(SendCommand(node, command))
        if self.paused and self.config.live and isinstance(command, SHOWN):
            self._outbox.put(SendCommand("capture", RepeatPicture()))

    def _send_if_loaded(self, node: str, command: Command) -> None:
        """Send what a node that still loads gets with its start command."""
        if self.nodes[node].loaded:
            self._send(node, command)
