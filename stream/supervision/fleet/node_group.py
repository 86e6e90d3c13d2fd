"""Nodes that are supervised together, and the processes that run them: reports and exits in, restarts out.

Whatever the group decides about its feed is in the subclasses: `camera_run.py`, `common_nodes.py`.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec import structs

from stream.errors import NodeError, StreamError
from stream.reports import Failure, Health, Hello, Report
from stream.settings.addresses import connectable
from stream.settings.config import Config, FleetConfig
from stream.supervision.fleet.node_sockets import NodeSockets
from stream.supervision.lifecycle import Exit, Running, SupervisedNode, SupervisedProcess
from stream.topology import Graph

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Config)
Launch = Callable[[str, Config, Graph, Sequence[str]], Running]  # starts a process: name, config, graph, its stages
Plan = Callable[[Config, Graph, Sequence[str]], str]


class ReportedError(StreamError):
    """A node gives up for a reason that a restart would not mend."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class NodeHost:
    """What carries the nodes of a group on this host."""

    sockets: NodeSockets  # to the nodes
    processes: Mapping[str, Sequence[str]]  # what is launched, by name, each with its nodes
    launch: Launch
    plan: Plan  # of nodes that are restarted within their process
    clock: Callable[[], float] = time.monotonic


def with_port_bound(config: C, bound: str) -> C:
    """The config with the port that the system has chosen before: whoever reads masks goes on reading there."""
    if not bound or connectable(config.publisher.endpoint):
        return config
    config = structs.replace(config, publisher=structs.replace(config.publisher, endpoint=bound))
    if isinstance(config, FleetConfig):  # its cameras repeat what is one for all
        cameras = {name: with_port_bound(own, bound) for name, own in config.cameras.items()}
        config = structs.replace(config, cameras=cameras)
    return config


class NodeGroup:
    """The supervised nodes of one graph."""

    def __init__(self, config: Config, graph: Graph, host: NodeHost) -> None:
        self.name = ""  # of the camera; "": nodes of all of them
        self.config = config
        self.graph = graph
        self.bound = ""  # where masks are published, as the node says that has bound the socket
        self.error: StreamError | None = None  # that it ended with
        self.finished = False  # it has nothing more to do, and is to be ended
        self.ending = False  # its nodes are being stopped
        self.nodes = {
            stage: SupervisedNode(stage, graph.nodes[stage].name, here=graph.nodes[stage].here)
            for stage in graph.supervised
        }
        self.processes = [
            SupervisedProcess(name, [self.nodes[stage] for stage in stages], config, self._launch)
            for name, stages in host.processes.items()
        ]
        self.sockets = host.sockets
        self._host = host
        self._clock = host.clock
        self._unknown_reports = 0  # of nodes that there are not

    def _launch(self, name: str) -> Running:
        """Start a process, with the config as it is now."""
        config = with_port_bound(self.config, self.bound)
        return self._host.launch(name, config, self.graph, self._host.processes[name])

    # --- what subclasses decide ---

    def on_hello(self, node: SupervisedNode, now_s: float) -> None:
        """A node has loaded: tell it where to begin."""

    def on_report(self, node: SupervisedNode, report: Report, now_s: float) -> None:
        """A node reports something beside its life."""

    def on_restart(self, stage: str) -> None:
        """A node has ended and is restarted."""

    def act(self) -> None:
        """Carry out what has been decided."""

    def begin_end(self) -> None:
        """The nodes are about to be stopped."""

    # --- its life ---

    def start(self) -> None:
        """Launch every process."""
        for process in self.processes:
            process.start(self._clock())

    def end_with(self, error: StreamError | None) -> None:
        """Have the group ended, with an error where it failed; the first one counts."""
        self.error = self.error or error
        self.finished = True

    def stop(self) -> None:
        """Tell every node to stop, once."""
        if not self.ending:
            self.ending = True
            self.begin_end()
            self.act()

    def close(self) -> None:
        """Let go of the sockets."""
        self.sockets.close()

    @property
    def over(self) -> bool:
        """Whether every process has ended."""
        return all(process.running is None for process in self.processes)

    @property
    def malformed(self) -> dict[str, int]:
        """Messages that could not be read, by the socket that they came to."""
        malformed = dict(self.sockets.malformed)
        malformed["reports"] += self._unknown_reports
        return malformed

    def configure(self, config: Config, graph: Graph, stages: Collection[str]) -> None:
        """Go on with this config: restart these stages, within their process where that runs others, too."""
        self.config, self.graph = config, graph
        for process in self.processes:
            process.configure(config)
            changed = [node for node in process.nodes if node.stage in stages]
            if process.running is None or not changed:
                continue
            if len(changed) == len(process.nodes):
                process.restart(self._clock())
                continue
            for node in changed:
                node.restart(self._clock())
                self.on_restart(node.stage)
            plan = self._host.plan(with_port_bound(config, self.bound), graph, [node.stage for node in changed])
            process.running.restart_nodes(plan)

    # --- what nodes report ---

    def take_reports(self) -> None:
        """Take what has come."""
        while (report := self.sockets.take_report()) is not None:
            if report.node in self.nodes:
                self._take_report(self.nodes[report.node], report, self._clock())
                self.act()
            else:
                self._unknown_reports += 1

    def _take_report(self, node: SupervisedNode, report: Report, now_s: float) -> None:
        node.hear(now_s)
        match report:
            case Hello():
                node.load()
                self.sockets.expect(node.stage, report.incarnation)
                self.on_hello(node, now_s)
            case Health():
                node.take_health(report)
                self.on_report(node, report, now_s)
            case Failure():
                self.end_with(ReportedError(report.message, report.exit_code))
            case _:
                self.on_report(node, report, now_s)

    # --- restarts ---

    def watch(self) -> None:
        """Restart what has died or hangs."""
        if self.sockets.ready:
            self.take_reports()  # what came while we were busy counts
        now_s = self._clock()
        for process in self.processes:
            if (ended := process.watch(now_s)) is not None:
                self._restart(process, ended)

    def _restart(self, process: SupervisedProcess, ended: Exit) -> None:
        """Restart a process that ended without being told to, or end the group."""
        self.take_reports()  # its last ones may say why
        if ended.error:
            self.end_with(ended.error)
        if self.finished or self.ending or (ended.code == 0 and not self.config.graph.host):
            return
        for node in process.nodes:
            node.end_incarnation()
        if process.restarting:
            self._start_again(process)
            return
        limits, code = self.config.supervisor, ended.code
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if limits.threads or not process.may_restart(ended, self._clock()):
            often = f" for more than the {limits.max_restarts} times in {limits.restart_window_s:g} s that are allowed"
            self.end_with(NodeError(f"{process.name} {how}{'' if limits.threads else often}; {self.is_over}"))
            return
        log.warning("%s %s; it is restarted (restart %d)", process.name, how, process.policy.total)
        self._start_again(process)

    def _start_again(self, process: SupervisedProcess) -> None:
        for node in process.nodes:
            self.on_restart(node.stage)
        process.start(self._clock())

    @property
    def is_over(self) -> str:
        """What ends where a process may not be restarted."""
        return "the run is over"
