"""Runs a node by its name; the packages of its stage are loaded when it is asked for, and not before."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from stream.runtime import StopFlag, run_stage
from stream.scheduling.shared_models import SharedModels
from stream.settings.config import Config, FleetConfig
from stream.settings.presets import build
from stream.topology import Graph, common_wiring, wiring
from stream.transport.sockets import Context


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

    @property
    def place(self) -> tuple[str, Config, Graph, str]:
        """What `run_node` wants of it."""
        return self.stage, self.config, self.graph, self.base


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
) -> None:
    """Run the stage `nodes.<stage>.node` until its stop signal; StreamError where a restart would not help.

    `models`: what the nodes of this process share.
    """
    make_stage = importlib.import_module(f"nodes.{stage}.node").make_stage
    run_stage(make_stage, stage, config, graph, base, context, stop, models)
