"""What a log line says of where it comes from."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from stream.console.logs import JsonLines, install
from stream.settings.config import Log


def said_by(thread, logger):
    record = logging.LogRecord(logger, logging.INFO, "f", 1, "hello", (), None)
    record.threadName = thread
    return json.loads(JsonLines("door", ("capture", "tracker", "publisher")).format(record))["node"]


@pytest.mark.parametrize(
    ("thread", "logger", "node"),
    [
        ("tracker", "stream.transport.topics", "tracker"),
        ("tracker-heartbeat", "stream.heartbeat", "tracker"),
        ("publisher-gate", "stream.transport.gate", "publisher"),
        ("Thread-7", "nodes.capture.feed", "capture"),
        ("Thread-7", "nodes", "door"),
        ("Thread-7", "nodes.decoder.scheduling.budget", "door"),  # no node of this process
        ("MainThread", "stream.runtime", "door"),
        (None, "stream.runtime", "door"),
    ],
)
def test_a_line_names_the_node_whose_thread_or_module_says_it_else_the_process(thread, logger, node):
    assert said_by(thread, logger) == node


def test_nodes_in_threads_of_one_process_are_told_apart():
    lines: list[str] = []
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        install(Log(), "graph", lines.append, nodes=("capture", "tracker"))
        for name in ("capture", "tracker", "dashboard"):
            thread = threading.Thread(target=lambda: logging.getLogger("stream.runtime").info("hello"), name=name)
            thread.start()
            thread.join()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert [line.split(maxsplit=1)[1] for line in lines] == ["capture: hello", "tracker: hello", "graph: hello"]


def test_debug_shows_our_own_steps_and_not_those_of_the_libraries_that_tell_thousands():
    lines: list[str] = []
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        install(Log(level="debug"), "graph", lines.append)
        for logger in ("stream.runtime", "numba.core.ssa", "zmq.auth", "asyncio"):
            logging.getLogger(logger).debug("a step")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert len(lines) == 1
