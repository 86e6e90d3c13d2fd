"""Runs a node by its name; the packages of its stage are loaded when it is asked for, and not before."""

from __future__ import annotations

import importlib

from stream.runtime import StopFlag, run_stage
from stream.settings.config import Config
from stream.topology import Graph
from stream.transport.sockets import Context


def run_node(node: str, config: Config, graph: Graph, base: str, context: Context, stop: StopFlag) -> None:
    """Run the stage `nodes.<stage>.node` until its stop signal; StreamError where a restart would not help."""
    make_stage = importlib.import_module(f"nodes.{graph.nodes[node].stage}.node").make_stage
    run_stage(make_stage, node, config, graph, base, context, stop)
