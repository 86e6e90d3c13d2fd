"""One camera as it runs: its session, requests, journal and condition, with the nodes and processes that serve it."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from stream.commands import PublishStatus
from stream.messages import Prompt
from stream.reports import Answer, Bound, Done, Found, Health, Opened, Report
from stream.settings.config import Config
from stream.supervision.actions import EndRun, Outbox, SaveJournal, SendCommand, SendReply
from stream.supervision.condition import Condition, Signs, read_signs
from stream.supervision.control import CameraRequests
from stream.supervision.fleet.node_group import NodeGroup, NodeHost
from stream.supervision.journal import Journal
from stream.supervision.lifecycle import SupervisedNode
from stream.supervision.registry import Registry
from stream.supervision.run_summary import describe, describe_failure, measure_supervisor, summarise
from stream.supervision.session import Session
from stream.topology import Graph
from stream.transport.wire import to_json

if TYPE_CHECKING:
    from stream.service.service_state import CameraSigns

log = logging.getLogger(__name__)

TICK_S = 0.05  # how often a camera is looked at that has nothing to say
OBSERVE_S = 0.2  # how old a mask may be that a node is restored with, beside the time that it was away
STATUS_S = 1.0  # how often the status is published


class Clients(Protocol):
    """Those who send requests to the run; what of them was malformed or refused counts in the summary."""

    def reply(self, address: tuple[bytes, ...], body: bytes) -> None: ...
    def malformed(self) -> dict[str, int]: ...
    def refused(self) -> dict[str, int]: ...


class CameraRun(NodeGroup):
    """The running graph of one camera."""

    def __init__(
        self,
        config: Config,
        graph: Graph,
        prompts: Sequence[Prompt],
        journal: Journal | None,
        host: NodeHost,
        clients: Clients,
    ) -> None:
        super().__init__(config, graph, host)
        self.name = config.capture.camera
        # where the proxy finds its publisher; empty: on a host that is yet to say
        self.publishes_at = "" if graph.outside else host.sockets.base + "publish"
        self._outbox = Outbox()
        self.session = Session(config, graph, prompts, journal.load() if journal else Registry(), self._outbox)
        self.requests = CameraRequests(
            self.session, self._outbox, self.summary, lambda: host.sockets.waiting("tracker")
        )
        self._clients = clients
        self._journal = journal
        self._journal_failed = False  # when it was to be written last
        self._began_s = self._clock()
        self._condition = Condition(self._began_s)
        self._observe_at_s = 0.0
        self._status_at_s = 0.0
        self._tick_at_s = 0.0
        self._integrations: Mapping[str, Any] = {}  # of the run, where it has several cameras

    def configure(self, config: Config, graph: Graph, stages: Collection[str]) -> None:
        """Go on with this config."""
        self.session.configure(config, graph)
        super().configure(config, graph, stages)

    # --- what the loop calls ---

    def ask_for_masks(self) -> None:
        """Ask for the newest masks, if those that are here have become old."""
        if self._clock() >= self._observe_at_s:
            self.sockets.ask_for_masks()

    def serve(self) -> None:
        """Serve what has come, and what it is time for."""
        if not self.sockets.ready and self._clock() < self._tick_at_s:
            return
        self.take_reports()
        self.sockets.send_commands()
        now_s = self._clock()
        self._tick_at_s = now_s + TICK_S
        if (masks := self.sockets.take_masks()) is not None:
            self.session.on_masks(masks, now_s)
            self._observe_at_s = now_s + OBSERVE_S
        self.requests.on_tick(now_s)
        self.session.on_tick(now_s)
        self._condition.judge(self._signs(now_s), now_s)
        self.act()
        if self.nodes["publisher"].loaded and now_s >= self._status_at_s:
            self._status_at_s = now_s + STATUS_S
            self.sockets.send("publisher", PublishStatus(status=to_json(self.summary()).decode()))

    def watch(self) -> None:
        """Restart what has died or hangs; a host that only lends its nodes is done when they have ended."""
        super().watch()
        if not self.config.graph.host and not self.finished and self.over:
            log.info("the feed has ended")  # every node that we lend has ended by itself
            self.finished = True

    def summary(self) -> dict[str, Any]:
        """The run of this camera so far (docs/protocol.md), for --summary, `stats` and the status topic."""
        now_s = self._clock()
        summary = summarise(
            self.session,
            self.nodes,
            self.processes,
            malformed={"control": 0, **self._clients.malformed(), **self.malformed},
            refused=self._clients.refused(),
            elapsed_s=now_s - self._began_s,
            now_s=now_s,
        )
        self._condition.judge(self._signs(now_s), now_s)
        summary |= describe(self._condition, self._signs(now_s), now_s, time.time())
        summary |= describe_failure(self.error)
        summary |= self._integrations
        if where := next((p.running.where for p in self.processes if p.running is not None and p.running.where), None):
            summary["host"] = where
        summary["nodes"]["supervisor"] = measure_supervisor()
        return summary

    def take_integrations(self, entries: Mapping[str, Any]) -> None:
        """What the run tells other systems of all cameras, for this one's status."""
        self._integrations = entries

    def service_signs(self) -> CameraSigns:
        """How the camera is, for what watches the service."""
        from stream.service.service_state import CameraSigns  # what is off is not loaded

        now_s = self._clock()
        signs = self._signs(now_s)
        self._condition.judge(signs, now_s)
        publisher = self.nodes["publisher"]
        lends = not self.config.graph.host  # its feed is another host's to judge
        return CameraSigns(
            name=self.name,
            state="failed" if self.error is not None else "paused" if lends else self._condition.state,
            reason="lends its nodes" if lends else self._condition.reason,
            published=int(publisher.counters.totals(publisher.health).get("published", 0)),
            published_hz=publisher.recent.rate_hz("published", now_s),
            objects=len(self.session.registry.entries),
            retry_in_s=signs.retry_in_s,
            step_s=max((n.health.step_ms / 1000 for n in self.nodes.values() if n.health), default=0.0),
        )

    def close(self) -> None:
        """Let go of the journal and the sockets."""
        if self._journal is not None:
            self._journal.close()
        super().close()

    def _signs(self, now_s: float) -> Signs:
        """What the feed is judged by."""
        session = self.session
        opened, paused = session.opened is not None, session.paused
        signs = read_signs(self.nodes, now_s, live=self.config.live, opened=opened, paused=paused)
        signs = replace(signs, journal_failed=self._journal_failed)
        # The last heartbeat of a capture node may be older than the end that all sinks have seen.
        return replace(signs, phase="ended") if session.feed_ended else signs

    @property
    def is_over(self) -> str:
        """What ends where a process may not be restarted."""
        return "the camera is over" if self.graph.in_fleet else super().is_over

    # --- what nodes report ---

    def on_hello(self, node: SupervisedNode, now_s: float) -> None:
        """A node has loaded: the session tells it where to begin."""
        self.session.on_hello(node.stage, now_s)

    def on_report(self, node: SupervisedNode, report: Report, now_s: float) -> None:
        """The feed has got on, or a request is answered."""
        match report:
            case Health():
                self.session.on_health(report, now_s)
            case Opened():
                self.session.on_opened(report, now_s)
            case Bound():
                self._on_bound(report)
            case Done():
                self.session.on_done(node.stage)
            case Found():
                self.session.on_found(report)
            case Answer():
                self.requests.on_answer(report)

    def _on_bound(self, report: Bound) -> None:
        """A node has opened a socket that others have to be told of."""
        if report.topic == "masks":
            self.sockets.take_masks_from(report.endpoint)
        elif self.graph.outside:
            self.publishes_at = report.endpoint
        else:
            self.bound = report.endpoint

    def on_restart(self, stage: str) -> None:
        """A node has ended and is restarted; until it says hello, it takes no commands."""
        self.session.on_restart(stage)

    # --- what is to be done ---

    def act(self) -> None:
        """Carry out what the session and the requests have decided."""
        for action in self._outbox.take():
            match action:
                case SendCommand(node, command):
                    self.sockets.send(node, command)
                case SendReply(address, body):
                    self._clients.reply(address, body)
                case SaveJournal(contents, zones):
                    self._save_journal(contents, zones)
                case EndRun(error):
                    self.end_with(error)

    def begin_end(self) -> None:
        """Refuse the requests that wait, write the journal, stop every node."""
        if self.config.graph.host:
            self.requests.on_end()
            self.session.on_end()

    def _save_journal(self, contents: str, zones: str) -> None:
        if self._journal is None:
            return
        try:
            self._journal.save(contents, zones)
            self._journal_failed = False
        except OSError as error:
            self._journal_failed = True
            text = "%s %s can't be written: %s"
            log.warning(text, self._journal.key, self._journal.path, error.strerror, extra={"once_key": "journal"})
