"""A supervised process and its nodes over all restarts: started, judged by their heartbeats, ended where they hang."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from stream.errors import StreamError
from stream.reports import Health
from stream.settings.config import Config
from stream.supervision.fleet.device_processes import DeviceMember
from stream.supervision.lifetime_counters import LifetimeCounters, RecentCounters
from stream.supervision.placing.placed_process import PlacedProcess
from stream.supervision.processes import NodeProcess, NodeThread
from stream.supervision.restart_policy import RestartPolicy

log = logging.getLogger(__name__)

STANDARD_ERROR = 2  # the descriptor: what stands in for the stream may be what hangs
LOAD_TIMEOUT_S = 120.0  # a node that has not said hello by then hangs while loading

Running = NodeProcess | NodeThread | DeviceMember | PlacedProcess


class SupervisedNode:
    """A node as its reports describe it, over all restarts."""

    def __init__(self, stage: str, name: str = "", *, here: bool = True) -> None:
        self.stage = stage
        self.name = name or stage  # in logs
        self.here = here  # else another host runs and restarts it
        self.loaded = False  # its present incarnation has said hello
        self.loads = 0  # incarnations that have
        self.heard_s = 0.0  # when its newest report came
        self._deaf = False  # what comes is of the incarnation that is being ended
        self.health: Health | None = None  # the newest of the present incarnation
        self.newest_frame_s: float | None = None  # when its newest frame was captured; of capture, over all restarts
        self.counters = LifetimeCounters()
        self.recent = RecentCounters()

    def begin(self, now_s: float) -> None:
        """An incarnation begins to load."""
        self.loaded = False
        self.heard_s = now_s

    def restart(self, now_s: float) -> None:
        """It is restarted within its process: what still comes of it is of its last incarnation."""
        self.end_incarnation()
        self._deaf = True
        self.begin(now_s)

    def hear(self, now_s: float) -> None:
        """A report has come."""
        self.heard_s = now_s

    def load(self) -> None:
        """The node has said hello."""
        self.loaded = True
        self._deaf = False
        self.loads += 1
        if not self.here:  # that its last incarnation has ended is only heard of in this way
            self.end_incarnation()

    def take_health(self, health: Health) -> None:
        """A heartbeat has come."""
        if self._deaf:
            return
        self.health = health
        if health.progress.frame_id >= 0:
            self.newest_frame_s = self.heard_s - health.progress.gauges.get("frame_age_s", 0.0)
        self.recent.add(self.heard_s, self.counters.totals(health))

    def end_incarnation(self) -> None:
        """Add what was counted last to the sum over all restarts."""
        self.counters.end_incarnation(self.health)
        self.health = None


@dataclass(frozen=True)
class Exit:
    """How a process ended."""

    code: int  # below 0 for a signal
    error: StreamError | None = None  # that a thread ended with; a process reports its own
    of_several: bool = False  # other cameras' nodes have ended with it, and their groups count it, too


class SupervisedProcess:
    """A process of this host with its nodes, over all restarts."""

    def __init__(
        self, name: str, nodes: Sequence[SupervisedNode], config: Config, launch: Callable[[str], Running]
    ) -> None:
        self.name = name
        self.nodes = nodes
        self.running: Running | None = None
        self.policy = RestartPolicy(config.supervisor.max_restarts, config.supervisor.restart_window_s)
        self.restarted_with_others = 0  # of its restarts: those that groups of other cameras count, too
        self.restarting = False  # it was stopped in order to be started again
        self._limits = config.supervisor
        self._reports_here = config.graph.host  # else its reports go to the host that we lend the nodes to
        self._launch = launch
        self._killed = False
        self._kill_at_s = math.inf  # when one that was told to stop is killed

    def configure(self, config: Config) -> None:
        """Go on with these limits."""
        self._limits = config.supervisor
        self.policy.set_limit(config.supervisor.max_restarts, config.supervisor.restart_window_s)

    def start(self, now_s: float) -> None:
        """Launch the process, the first time or again."""
        self._killed = self.restarting = False
        self._kill_at_s = math.inf
        for node in self.nodes:
            node.begin(now_s)
        self.running = self._launch(self.name)

    def stop(self, now_s: float) -> None:
        """Ask it to stop, without waiting; `watch` kills it where it has not in time."""
        if self.running is not None:
            self.running.terminate()
            self._kill_at_s = now_s + self._limits.stop_timeout_s

    def restart(self, now_s: float) -> None:
        """Stop it in order to start it again: nothing is wrong with it."""
        self.restarting = True
        self.stop(now_s)

    def watch(self, now_s: float) -> Exit | None:
        """How the process has ended, once; one that hangs is killed, and has ended soon."""
        if self.running is None:
            return None
        code = self.running.exit_code()
        if code is not None:
            ended = Exit(code, self.running.error, isinstance(self.running, DeviceMember) and self.running.all_ended)
            self.running.close()
            self.running = None
            return ended
        if not self.running.placed:
            for node in self.nodes:
                node.begin(now_s)  # its time to load has not begun
        if now_s >= self._kill_at_s and not self._killed:
            log.warning("%s did not stop in %g s; it is killed", self.name, self._limits.stop_timeout_s)
            self._killed = True
            self.running.kill()
        elif self._kill_at_s == math.inf and not self._killed and (fault := self.fault(now_s)):
            log.warning("%s; it is ended and restarted", fault)
            self._killed = True
            self.running.kill()
        return None

    def may_restart(self, ended: Exit, now_s: float) -> bool:
        """Count one more restart, unless that is more than the limit."""
        allowed = self.policy.allows(now_s)
        self.restarted_with_others += allowed and ended.of_several
        return allowed

    def fault(self, now_s: float) -> str:
        """Which of the nodes hangs, and how: silent, or inside one step, for too long; empty where all is well."""
        loaded = all(node.loaded for node in self.nodes)  # while one loads, the others may have to wait for it
        silence_s = self._limits.dead_after_s if loaded else LOAD_TIMEOUT_S
        for node in self.nodes:
            silent_s = now_s - node.heard_s
            stuck_s = node.health.in_step_s if node.health and node.loaded else 0.0
            if self._reports_here and silent_s > silence_s:
                return f"{node.name} has been silent for {silent_s:.1f} s"
            if stuck_s > self._limits.step_timeout_s:
                return f"{node.name} has been inside one step for {stuck_s:.0f} s"
        return ""


def count_restarts(processes: Iterable[SupervisedProcess]) -> int:
    """How often they were restarted; that of a device, which each of its cameras counts, once."""
    alone, of_devices = 0, dict[str, int]()
    for process in processes:
        alone += process.policy.total - process.restarted_with_others
        of_devices[process.name] = max(of_devices.get(process.name, 0), process.restarted_with_others)
    return alone + sum(of_devices.values())


def end(processes: Iterable[SupervisedProcess], timeout_s: float, wait: Callable[[], None]) -> list[StreamError]:
    """Ask all to stop, and kill whichever has not within `timeout_s`; meanwhile `wait`, again and again.

    Answers with the errors that they ended with.
    """
    running = [process.running for process in processes if process.running is not None]
    for process in running:
        process.terminate()
    until_s = time.monotonic() + timeout_s
    while any(process.exit_code() is None for process in running) and time.monotonic() < until_s:
        wait()
    for process in running:
        if process.exit_code() is None:
            log.warning("%s did not stop in %g s; it is killed", process.name, timeout_s)
            process.kill()
    for process in running:
        process.close()
    return [process.error for process in running if process.error is not None]


@contextlib.contextmanager
def ends_within(limit_s: float) -> Iterator[None]:
    """End this process with code 1 where what is done inside takes longer; no lock and no thread of Python's is needed.

    Nodes that are left see that their supervisor has gone, and end.
    """
    faulthandler.dump_traceback_later(limit_s, exit=True, file=STANDARD_ERROR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
