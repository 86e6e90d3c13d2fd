"""The benchmark of the page once, tiny: the shape of its table, and a reader of the code that tells a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import benchmark
from tools.bench import web
from tools.chromium import what_is_missing


@pytest.mark.skipif(bool(what_is_missing()), reason=f"THE BENCHMARK OF THE PAGE WAS NOT RUN: {what_is_missing()}")
@pytest.mark.slow
def test_the_page_is_measured_from_capture_to_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SETTLE_S", 0.3)
    out = tmp_path / "web.json"
    assert benchmark.main(["web", "--frames", "50", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    values = {(r["part"].partition(",")[0], r["measure"]): r["value"] for r in rows}
    assert 0 < values["page", "capture to painted p50"] <= values["page", "capture to painted p95"] < 60_000
    assert values["page", "painted"] > 0
    assert values["viewers", "rate of ten viewers"] > 0
    assert values["one stops reading", "rate of the others"] > 0
    targets = {r["measure"]: r["target"] for r in rows if r["target"]}
    assert targets == {
        "capture to painted p50": "<= 100",
        "capture to painted p95": "<= 200",
        "ten viewers": "<= 50",
        "rate of the others": ">= 95",
        "growth": "<= 8",
    }
