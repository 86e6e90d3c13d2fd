"""The supervisor's loop: keeps the nodes alive, carries events to the session and its actions out.

The supervisor outlives every node. Commands are decided in `session.py` and replies in
`control.py`; when a process hangs, in `lifecycle.py`. It never touches a picture.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from stream.commands import PublishStatus
from stream.errors import NodeError, StreamError
from stream.messages import Prompt
from stream.reports import Answer, Bound, Done, Failure, Found, Health, Hello, Opened, Report
from stream.runtime import StopFlag
from stream.settings.addresses import connectable
from stream.settings.config import Config
from stream.supervision.actions import EndRun, Outbox, SaveJournal, SendCommand, SendReply
from stream.supervision.condition import Condition, Signs, read_signs
from stream.supervision.connections import Connections, HostConnections
from stream.supervision.control import RequestHandler
from stream.supervision.journal import Journal, find_journal
from stream.supervision.launching import RunNode, make_launch, nodes_by_process
from stream.supervision.lifecycle import Exit, Running, SupervisedNode, SupervisedProcess, end
from stream.supervision.registry import Registry
from stream.supervision.run_summary import describe, measure_supervisor, summarise
from stream.supervision.session import Session
from stream.topology import Graph, wiring
from stream.transport.wire import to_json

log = logging.getLogger(__name__)

TICK_MS = 50
END_TICK_MS = 20
OBSERVE_S = 0.2  # how old a mask may be that a node is restored with, beside the time that it was away
STATUS_S = 1.0  # how often the status is published
REQUESTS_A_ROUND = 100  # so that a flood of them does not keep us from the nodes


class ReportedError(StreamError):
    """A node gives up for a reason that a restart would not mend."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Dashboard(Protocol):
    """What shows the run to a person."""

    def write_line(self, line: str) -> None: ...
    def update(self, summary: Callable[[], dict[str, Any]]) -> None: ...


class Supervisor:
    """The running graph of one camera."""

    def __init__(
        self,
        config: Config,
        graph: Graph,
        prompts: Sequence[Prompt],
        journal: Journal | None,
        connections: Connections,
        launch: Callable[[str], Running],
        dashboard: Dashboard,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.error: StreamError | None = None  # that the run ended with
        self.nodes = {name: SupervisedNode(name, here=graph.nodes[name].here) for name in graph.supervised}
        self.processes = [
            SupervisedProcess(name, [self.nodes[n] for n in names], config, launch)
            for name, names in nodes_by_process(config, graph).items()
        ]
        self._outbox = Outbox()
        self._session = Session(config, graph, prompts, journal.load() if journal else Registry(), self._outbox)
        self._requests = RequestHandler(
            self._session, self._outbox, self.summary, lambda: connections.waiting("tracker")
        )
        self._journal = journal
        self._connections = connections
        self._dashboard = dashboard
        self._clock = clock
        self._stopping = StopFlag()
        self._began_s = clock()
        self._condition = Condition(self._began_s)
        self._observe_at_s = 0.0
        self._status_at_s = 0.0
        self._announce_at_s = 0.0
        self._unknown_reports = 0  # of nodes that there are not

    # --- the run ---

    def run(self) -> None:
        """Run until the feed ends, the user stops it, or it fails (then the error is raised)."""
        try:
            self._announce()
            for process in self.processes:
                process.start(self._clock())
            while not self._stopping.is_set():
                self._round()
                self._watch()
                self._dashboard.update(self.summary)
                if not self.config.graph.host and all(p.running is None for p in self.processes):
                    log.info("the feed has ended")  # every node that we lend has ended by itself
                    break
        finally:
            self._end()
        if self.error:
            raise self.error

    def _announce(self) -> None:
        """Let tools find the run; say where requests go to if the system has chosen the port."""
        self._connections.announce(self.config)
        asked_for, bound = self.config.control.endpoint, self._connections.with_bound_endpoints(self.config).control
        if asked_for and not connectable(asked_for):
            log.info("requests are taken at %s", bound.endpoint)

    def stop_on(self, signals: Iterable[signal.Signals]) -> None:
        """Stop on these signals from now on, and on those of them that were held back until now."""
        for number in signals:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                signal.signal(number, lambda *_: self.stop())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def stop(self) -> None:
        """End the run; safe in a signal handler."""
        self._stopping.set()
        self._connections.wake()

    def summary(self) -> dict[str, Any]:
        """The run so far (docs/protocol.md), for --summary, `stats` and the status topic."""
        now_s = self._clock()
        malformed = self._connections.malformed
        malformed["reports"] += self._unknown_reports
        summary = summarise(
            self._session,
            self.nodes,
            self.processes,
            malformed={"control": self._requests.malformed, **malformed},
            refused={**self._connections.refused(), "requests": self._requests.refused},
            elapsed_s=now_s - self._began_s,
            now_s=now_s,
        )
        summary |= describe(self._condition, self._signs(now_s), now_s, time.time())
        summary["nodes"]["supervisor"] = measure_supervisor()
        return summary

    def _signs(self, now_s: float) -> Signs:
        """What the feed is judged by."""
        session = self._session
        opened, paused = session.opened is not None, session.paused
        return read_signs(self.nodes, now_s, live=self.config.live, opened=opened, paused=paused)

    def _round(self) -> None:
        """Wait for something to come, and serve it."""
        if self._clock() >= self._observe_at_s:
            self._connections.ask_for_masks()
        self._connections.wait(TICK_MS)
        self._take_reports()
        self._connections.send_commands()
        now_s = self._clock()
        if (masks := self._connections.take_masks()) is not None:
            self._session.on_masks(masks, now_s)
            self._observe_at_s = now_s + OBSERVE_S
        for address, parts in self._connections.take_requests(REQUESTS_A_ROUND):
            self._requests.serve(address, parts, now_s)
            self._act()
        self._requests.on_tick(now_s)
        self._session.on_tick(now_s)
        self._condition.judge(self._signs(now_s), now_s)
        self._act()
        if now_s >= self._announce_at_s:
            self._announce_at_s = now_s + STATUS_S
            self._connections.keep_announced()
        if self.nodes["publisher"].loaded and now_s >= self._status_at_s:
            self._status_at_s = now_s + STATUS_S
            self._connections.send("publisher", PublishStatus(status=to_json(self.summary()).decode()))

    def _act(self) -> None:
        """Carry out what the session and the request handler have decided."""
        for action in self._outbox.take():
            match action:
                case SendCommand(node, command):
                    self._connections.send(node, command)
                case SendReply(address, body):
                    self._connections.reply(address, body)
                case SaveJournal(contents):
                    self._save_journal(contents)
                case EndRun(error):
                    self.error = self.error or error
                    self.stop()

    def _save_journal(self, contents: str) -> None:
        if self._journal is None:
            return
        try:
            self._journal.save(contents)
        except OSError as error:
            text = "supervisor.journal %s can't be written: %s"
            log.warning(text, self._journal.path, error.strerror, extra={"once_key": "journal"})

    # --- what nodes report ---

    def _take_reports(self) -> None:
        while (report := self._connections.take_report()) is not None:
            if report.node in self.nodes:
                self._take_report(self.nodes[report.node], report, self._clock())
                self._act()
            else:
                self._unknown_reports += 1

    def _take_report(self, node: SupervisedNode, report: Report, now_s: float) -> None:
        node.hear(now_s)
        match report:
            case Hello():
                node.load()
                self._connections.expect(node.name, report.incarnation)
                self._session.on_hello(node.name, now_s)
            case Health():
                node.take_health(report)
                self._session.on_health(report, now_s)
            case Opened():
                self._session.on_opened(report, now_s)
            case Bound():
                self._connections.announce_publisher(report.endpoint)
                if self.config.publisher.endpoint and not connectable(self.config.publisher.endpoint):
                    log.info("masks are published at %s", report.endpoint)  # the system has chosen the port
            case Done():
                self._session.on_done(node.name)
            case Failure():
                self._session.end_run(ReportedError(report.message, report.exit_code))
            case Found():
                self._session.on_found(report)
            case Answer():
                self._requests.on_answer(report)

    # --- restarts ---

    def _watch(self) -> None:
        """Restart what has died or hangs."""
        self._take_reports()  # what came while we were busy counts
        now_s = self._clock()
        for process in self.processes:
            if (ended := process.watch(now_s)) is not None:
                self._restart(process, ended)

    def _restart(self, process: SupervisedProcess, ended: Exit) -> None:
        """Restart a process that ended without being told to, or end the run."""
        self._take_reports()  # its last ones may say why
        self.error = self.error or ended.error
        if self.error:
            self.stop()
        if self._stopping.is_set() or (ended.code == 0 and not self.config.graph.host):
            return
        for node in process.nodes:
            node.end_incarnation()
        limits = self.config.supervisor
        code = ended.code
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if limits.threads or not process.policy.allows(self._clock()):
            often = f" for more than the {limits.max_restarts} times in {limits.restart_window_s:g} s that are allowed"
            self._session.end_run(NodeError(f"{process.name} {how}{'' if limits.threads else often}; the run is over"))
            self._act()
            return
        log.warning("%s %s; it is restarted (restart %d)", process.name, how, process.policy.total)
        for node in process.nodes:
            self._session.on_restart(node.name)
        process.start(self._clock())

    # --- the end ---

    def _end(self) -> None:
        """End every node, and leave no process and no socket."""
        self._stopping.set()
        if self.config.graph.host:
            self._requests.on_end()
            self._session.on_end()
            self._act()
        errors = end(self.processes, self.config.supervisor.stop_timeout_s, self._wait_for_end)
        self.error = next((error for error in (self.error, *errors) if error), None)
        self._take_reports()
        alive = [p for p in self.processes if p.running is not None and p.running.exit_code() is None]
        self._connections.close(in_use=bool(alive))
        if self._journal is not None:
            self._journal.close()

    def _wait_for_end(self) -> None:
        """Pass a moment of the end: what nodes still report counts."""
        self._connections.wait(END_TICK_MS)
        self._take_reports()
        self._connections.send_commands()


def make_supervisor(config: Config, prompts: Sequence[Prompt], run_node: RunNode, dashboard: Dashboard) -> Supervisor:
    """A supervisor with its sockets open; ConfigError where they can't be. `run_node` serves for --threads."""
    graph = wiring(config)
    graph.check()
    journal = find_journal(config)
    connections = HostConnections(config, graph) if config.graph.host else Connections(config)
    try:
        if journal is not None:
            journal.lock()
        launch = make_launch(config, graph, connections, run_node, dashboard.write_line)
        return Supervisor(config, graph, prompts, journal, connections, launch, dashboard)
    except Exception:
        connections.close()
        if journal is not None:
            journal.close()
        raise
