"""Runs the nodes of a process, each in a thread; the packages of a stage are loaded when it is asked for."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.errors import StreamError
from stream.runtime import StopFlag, run_stage
from stream.scheduling.shared_models import SharedModels
from stream.settings.config import Config, FleetConfig
from stream.settings.presets import build
from stream.topology import PUBLISH_IN_RUN, Graph, common_wiring, wiring
from stream.transport.sockets import Context

log = logging.getLogger("nodes")

UNBOUND_S = 2.0  # until the paths of a node's sockets are free again, once it has closed them


@dataclass(frozen=True)
class PlannedNode:
    """A node that a process runs."""

    stage: str
    config: Config
    graph: Graph
    base: str  # where its topics are

    @property
    def name(self) -> str:
        """In logs, and of its thread."""
        return self.graph.nodes[self.stage].name

    def run(
        self,
        context: Context,
        stop: StopFlag,
        models: SharedModels | None = None,
        loaded: Callable[[], None] | None = None,
    ) -> int:
        """Run it to its end, and say in the log what it died of; its exit code. `loaded` is called before it serves."""
        try:
            run_node(self.stage, self.config, self.graph, self.base, context, stop, models, loaded)
        except StreamError as error:
            log.debug("%s gives up", self.name, exc_info=True)
            return error.exit_code
        except Exception as error:
            log.error("died of %s: %s (--debug shows where)", type(error).__name__, error)
            log.debug("%s died", self.name, exc_info=True)
            return 1
        return 0

    def wait_until_unbound(self) -> None:
        """Wait until the paths of its sockets are free: libzmq removes them some time after a socket is closed."""
        published = ("publish", PUBLISH_IN_RUN) if self.stage == "publisher" else ()
        topics = (*self.graph.outputs(self.stage), *published)
        endpoints = [self.graph.endpoint(topic, self.base) for topic in topics]
        own = [Path(e.removeprefix("ipc://")) for e in endpoints if e.startswith("ipc://")]
        until_s = time.monotonic() + UNBOUND_S
        while any(path.exists() for path in own):
            if time.monotonic() > until_s:
                return
            time.sleep(0.005)


def read_plan(plan: dict[str, Any]) -> list[PlannedNode]:
    """The nodes of a process, the one first that has to run on the main thread: a window wants that one."""
    nodes = []
    for part in plan["parts"]:
        config = build(part["config"])
        if isinstance(config, FleetConfig):
            graph = common_wiring(config)
        else:
            graph = wiring(config, in_fleet=part["in_fleet"])
        nodes += [PlannedNode(stage, config, graph, part["base"]) for stage in part["stages"]]
    return sorted(nodes, key=lambda node: not (node.stage == "renderer" and node.config.renderer.window))


def run_node(
    stage: str,
    config: Config,
    graph: Graph,
    base: str,
    context: Context,
    stop: StopFlag,
    models: SharedModels | None = None,
    loaded: Callable[[], None] | None = None,
) -> None:
    """Run the stage `nodes.<stage>.node` until its stop signal; StreamError where a restart would not help.

    `models`: what the nodes of this process share. `loaded` is called when the stage is made, before it serves.
    """
    make_stage = importlib.import_module(f"nodes.{stage}.node").make_stage

    def make(*arguments: Any) -> Any:
        made = make_stage(*arguments)
        if loaded is not None:
            loaded()
        return made

    run_stage(make, stage, config, graph, base, context, stop, models)


class RunningNodes:
    """The nodes of this process; each may be restarted alone, with another config."""

    def __init__(
        self, nodes: Sequence[PlannedNode], context: Context, stop: StopFlag, models: SharedModels | None = None
    ) -> None:
        self.serving = False  # a node has been loaded: it may hold what only an end in order keeps
        self._nodes = nodes
        self._models = models  # that they share with the nodes of other cameras
        self._context = context
        self._stop = stop
        self._flags: dict[str, StopFlag] = {}  # of the node as it runs now, by name
        self._next: dict[str, PlannedNode] = {}  # what a node is to be restarted as
        self._codes: list[int] = []

    def run(self) -> int:
        """Run all to their end, the first one in this thread; the worst exit code."""
        first, *others = self._nodes
        threads = [threading.Thread(target=self._serve, args=(n,), name=n.name, daemon=True) for n in others]
        for thread in threads:
            thread.start()
        self._serve(first)
        for thread in threads:
            thread.join()
        return max(self._codes)

    def take(self, plan: dict[str, Any]) -> None:
        """Restart the nodes that the supervisor names, as they are planned now; from another thread."""
        self.restart(read_plan(plan))

    def restart(self, nodes: Sequence[PlannedNode]) -> None:
        """Restart these as they are planned now; from another thread."""
        for node in nodes:
            self._next[node.name] = node
            if (flag := self._flags.get(node.name)) is not None:
                flag.set()

    def _loaded(self) -> None:
        self.serving = True

    def _serve(self, node: PlannedNode) -> None:
        """Run a node, again and again as long as it is to be restarted; then end the process, which is restarted."""
        while True:
            flag = self._flags[node.name] = StopFlag(self._stop)
            code = node.run(self._context, flag, self._models, self._loaded)
            node.wait_until_unbound()
            again = self._next.pop(node.name, None)
            if again is None or self._stop.is_set():
                break
            node = again
        self._codes.append(code)
        self._stop.set()
