"""Which function each node's process runs; a node's packages are loaded when it is asked for, and not before."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from stream.runtime import Runtime


def main_of(node: str) -> Callable[[Runtime], None]:
    """`nodes.<node>.node.main`."""
    return cast(Callable[[Runtime], None], importlib.import_module(f"nodes.{node}.node").main)
