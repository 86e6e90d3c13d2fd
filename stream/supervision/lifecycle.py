"""One node over all of its lives: started, heard of, ended where it hangs; and how all of them are ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from stream.reports import Health
from stream.settings.config import Config
from stream.supervision.lifetime_counters import LifetimeCounters
from stream.supervision.processes import NodeProcess, NodeThread, RestartPolicy

log = logging.getLogger(__name__)

LOAD_TIMEOUT_S = 120.0  # a node that has not said hello by then hangs while loading

Life = NodeProcess | NodeThread


class Supervised:
    """A node as the supervisor sees it, over all of its lives."""

    def __init__(self, name: str, config: Config, launch: Callable[[str], Life]) -> None:
        self.name = name
        self.limits = config.supervisor
        self.heard = config.graph.host  # what it reports comes to us; else to the host that we lend it to
        self.launch = launch
        self.life: Life | None = None
        self.policy = RestartPolicy(self.limits.max_restarts, self.limits.restart_window_s)
        self.said_hello = False
        self.lives = 0  # that have loaded
        self.beat_s = 0.0  # when it was last heard of
        self.health: Health | None = None
        self.tally = LifetimeCounters()

    def start(self) -> None:
        """Begin a life."""
        self.beat_s = time.monotonic()
        self.said_hello = False
        self.life = self.launch(self.name)

    def loaded(self) -> None:
        """It has said hello."""
        self.said_hello = True
        self.lives += 1

    def beats(self, health: Health) -> None:
        """It has told how it is."""
        self.health = health
        if health.frame_id >= 0:
            self.tally.seen_frame(health.frame_id, time.monotonic())

    def count_past(self) -> None:
        """A life is over: what it counted stays in the tally."""
        self.tally.close(self.health)
        self.health = None

    def watch(self, now_s: float) -> int | None:
        """The exit code of a life that has ended, once; a life that hangs is killed, and has ended soon."""
        if self.life is None:
            return None
        code = self.life.exit_code()
        if code is not None:
            self.life.close()
            self.life = None
        elif fault := self.fault(now_s):
            log.warning("%s has been %s; it is ended and started anew", self.name, fault)
            self.beat_s = now_s
            self.life.kill()
        return code

    def fault(self, now_s: float) -> str:
        """What is wrong with a life that hangs: silent, or inside one step, for too long; empty where all is well."""
        silent_s = now_s - self.beat_s
        stuck_s = self.health.in_step_s if self.health and self.said_hello else 0.0
        if self.heard and silent_s > (self.limits.dead_after_s if self.said_hello else LOAD_TIMEOUT_S):
            return f"silent for {silent_s:.1f} s"
        if stuck_s > self.limits.step_timeout_s:
            return f"inside one step for {stuck_s:.0f} s"
        return ""


def end(nodes: Iterable[Supervised], timeout_s: float, wait: Callable[[], None]) -> None:
    """Ask all to stop, and kill whoever has not within `timeout_s`; meanwhile `wait`, again and again."""
    lives = [node.life for node in nodes if node.life is not None]
    for life in lives:
        life.terminate()
    until = time.monotonic() + timeout_s
    while any(life.exit_code() is None for life in lives) and time.monotonic() < until:
        wait()
    for life in lives:
        if life.exit_code() is None:
            log.warning("%s did not stop in %g s; it is killed", life.node, timeout_s)
            life.kill()
    for life in lives:
        life.close()
