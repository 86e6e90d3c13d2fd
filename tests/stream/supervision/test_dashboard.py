"""What a person sees in a terminal while it runs."""

from __future__ import annotations

import io

from rich.console import Console

from stream.supervision.dashboard import progress, table

CAT = {"id": 1, "label": "[red]cat", "state": "uncertain", "reason": "low score", "score": 0.4, "area": 9}
STATUS = {
    "phase": "running",
    "frames": {"captured": 9, "passed_over": 1},
    "latency_ms": {"p50": 10.0, "p95": 20.0},
    "sessions": 1,
    "nodes": {"decoder": {"rate_hz": 25.0, "step_ms": 3.0, "busy": 0.1, "rss_mb": 90.0, "restarts": 0}},
    "objects": [CAT, {"id": 2, "label": "", "state": "starting", "reason": "", "score": None, "area": None}],
}


def test_the_table_has_each_object_with_its_label_state_and_reason():
    out = io.StringIO()
    Console(file=out, width=100).print(table("demo", STATUS))
    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["1", "[red]cat", "uncertain:", "low", "score", "0.40", "9"] in rows  # a label is no markup
    assert ["2", "starting"] in rows


def test_the_line_names_objects_by_id_and_label():
    assert progress(STATUS).endswith("objects: 1 ([red]cat) uncertain, 2 starting")
