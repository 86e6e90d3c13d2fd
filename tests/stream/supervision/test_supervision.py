from __future__ import annotations

import io
import json

import pytest

from stream.errors import ConfigError
from stream.settings.presets import load
from stream.supervision.dashboard import progress, table
from stream.supervision.restart_policy import RestartPolicy
from stream.timing import Latency
from stream.topology import wiring


def test_five_restarts_in_a_minute_and_not_one_more():
    policy = RestartPolicy(5, 60.0)
    assert [policy.allows(t) for t in range(6)] == [True] * 5 + [False]


def test_restarts_long_ago_are_forgiven():
    policy = RestartPolicy(2, 60.0)
    assert [policy.allows(t) for t in (0, 1, 59, 62)] == [True, True, False, True]
    assert policy.total == 3


def test_latency_percentiles_are_right_to_two_percent():
    latency = Latency()
    for i in range(1, 1001):
        latency.add(i)
    for share in (0.5, 0.95, 0.99):
        assert latency.quantile(share) == pytest.approx(1000 * share, rel=0.03)
    assert Latency().quantile(0.5) == 0


def test_the_dashboard_shows_every_node_and_object():
    from rich.console import Console

    node = {"rate_hz": 25.0, "step_ms": 4.0, "busy": 0.1, "rss_mb": 90.0, "restarts": 1}
    status = {
        "phase": "running",
        "frames": {"captured": 10, "passed_over": 2},
        "latency_ms": {"p50": 12.0, "p95": 20.0},
        "nodes": {"tracker": node, "decoder": node},
        "objects": [
            {"id": 3, "label": "mug", "state": "lost", "reason": "out of sight", "score": 0.5, "area": 0},
            {"id": 4, "label": "", "state": "starting", "reason": "", "score": None, "area": None},
        ],
        "sessions": 1,
    }
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table("demo", status))
    shown = console.export_text()
    for word in ("tracker", "decoder", "lost", "starting", "running", "p95 20 ms"):
        assert word in shown
    assert "3 (mug) lost" in progress(status)
    assert progress(status).startswith("running: ")
    assert progress(status | {"state": "degraded", "reason": "black"}).startswith("degraded (black): ")


def test_log_lines_hide_passwords_in_both_forms():
    import logging

    from stream.console.logs import JsonLines, OncePer, TextLines

    record = logging.LogRecord("x", logging.WARNING, "f", 1, "lost %s", ("rtsp://a:hunter2@h/x",), None)
    assert "hunter2" not in TextLines("capture").format(record)
    line = json.loads(JsonLines("capture").format(record))
    assert (line["level"], line["node"], line["message"]) == ("warning", "capture", "lost rtsp://***@h/x")
    record.once_key = "k"
    once = OncePer(5.0)
    assert [bool(once.filter(record)) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ({"graph.run": ["captur"]}, "did you mean 'capture'"),
        ({"graph.endpoints": {"frame": "tcp://127.0.0.1:7001"}}, "did you mean 'frames'"),
        ({"graph.run": ["tracker", "decoder"], "graph.host": False}, "graph.endpoints.frames is not set"),
        ({"graph.run": ["renderer"], "graph.endpoints": {"scenes": "ipc:///tmp/x"}}, "graph.endpoints"),
    ],
)
def test_nodes_that_could_not_find_each_other_are_refused(graph, words):
    with pytest.raises(ConfigError, match="graph") as error:
        wiring(load("lite", graph)).check()
    assert words in str(error.value)
