"""Each subject once on a tiny run: the shape of its table, not its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rtsp_fixture import start_rtsp_server

from tools import benchmark
from tools.bench.rows import Row, row
from tools.bench.soak import growth_row
from tools.bench.usage import Usage, usage_of_graph


def measured(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The report of one subject."""
    out = tmp_path / "out.json"
    assert benchmark.main([*arguments, "--json", str(out)]) == 0
    report: dict[str, Any] = json.loads(out.read_text())
    assert {"cpu", "cores", "ram_gb", "python", "numpy", "opencv", "av"} <= report["machine"].keys()
    return report


def test_pipeline_measures_rate_latency_and_transport_in_one_run(tmp_path: Path) -> None:
    rows = measured(tmp_path, "pipeline", "--frames", "150", "--repeat", "1", "--size", "256x144", "--fps", "100")[
        "rows"
    ]
    values = {(r["part"], r["measure"]): r["value"] for r in rows}
    assert values["lossless 256x144", "rate"] > 0
    assert values["100 frames/s 256x144", "latency p50"] <= values["100 frames/s 256x144", "latency p99"]
    assert 0 < values["transport", "share of a frame's time"] < 100
    assert values["lossless 256x144", "mean IoU"] > 0.5


def test_soak_says_how_every_process_grows(tmp_path: Path) -> None:
    rows = measured(tmp_path, "soak", "--minutes", "0.05")["rows"]
    nodes = {"supervisor", "capture", "tracker", "decoder", "renderer", "publisher"}
    assert {r["process"] for r in rows} == nodes
    assert all(10 < r["warm_mb"] <= r["most_mb"] and "to" in r["descriptors"] and "to" in r["threads"] for r in rows)


def test_a_soak_tells_a_process_that_grows_from_one_that_does_not() -> None:
    def grown(mb_a_s: float) -> Row:
        samples = [(s, Usage(0, 0, 100 + mb_a_s * max(s - 60, 0) + 50 * (s < 60), 30, 7)) for s in range(0, 600, 10)]
        return growth_row("tracker", samples, 60.0)

    leak = grown(0.01)
    assert (leak["mb_in_10_minutes"], leak["met"], leak["descriptors"]) == (pytest.approx(6), "no", "30 to 30")
    tenths = [float(mb) for mb in leak["mb_by_tenth"].split()]
    assert tenths == pytest.approx([150, *(100.25 + 0.6 * k for k in range(9))], abs=0.06)
    assert grown(0)["met"] == "yes"  # what it let go of while it warmed up does not count


def test_record_measures_what_copying_a_camera_costs(tmp_path: Path) -> None:
    tiny = ("--seconds", "1", "--repeat", "1", "--size", "256x144", "--mbit", "0.5")
    values = {r["measure"]: r["value"] for r in measured(tmp_path, "record", *tiny)["rows"]}
    assert values["segments"] == 1
    assert values["reading and recording"] == pytest.approx(values["reading alone"] + values["recording"], abs=0.1)


@pytest.mark.slow
@pytest.mark.rtsp
def test_push_compares_the_age_of_masks_without_and_with_a_push(tmp_path: Path) -> None:
    with start_rtsp_server(take=True) as server:
        tiny = ("--url", server.push_url, "--frames", "200", "--repeat", "1", "--size", "160x96", "--fps", "20")
        rows = measured(tmp_path, "push", *tiny)["rows"]
    values = {(r["part"], r["measure"]): r["value"] for r in rows}
    assert values["without", "age p50"] <= values["without", "age p95"]
    assert values["with", "pushed"] > 0
    assert values["with", "CPU of its process"] > 0


def test_fleet_measures_memory_cpu_rate_and_age_a_camera(tmp_path: Path) -> None:
    few = ("--cameras", "2", "--fps", "5", "--seconds", "1", "--warm-up", "1", "--modes", "camera")
    (row,) = measured(tmp_path, "fleet", *few)["rows"]
    assert (row["part"], row["processes"]) == ("camera", 5)  # the supervisor, the fork server, the proxy, two cameras
    assert row["MB a camera"] > 10
    assert row["CPU % a camera"] > 0


def test_fleet_refuses_a_mode_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["fleet", "--modes", "camera,nodes"]) == 2
    assert "no 'nodes'; did you mean 'node'" in capsys.readouterr().err


def test_start_times_help_and_the_first_mask(tmp_path: Path) -> None:
    rows = measured(tmp_path, "start", "--repeat", "1")["rows"]
    values = {(r["part"], r["measure"]): r["value"] for r in rows}
    assert 0 < values["start", "--help"] < values["start", "first mask"]
    assert values["memory", "all"] > values["memory", "decoder"] > 0


def test_a_run_that_fails_says_why_and_ends_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["start", "--config", "nothing-of-that-name", "--repeat", "1"]) == 1
    assert "no such preset" in capsys.readouterr().err


def test_a_row_holds_the_median_and_whether_the_target_is_met() -> None:
    fast = row("lossless", "rate", "frames/s", [29.0, 31.0, 45.0], at_least=30)
    assert (fast["value"], fast["lowest"], fast["met"], fast["target"]) == (31.0, 29.0, "yes", ">= 30")
    assert row("transport", "share", "%", [12.0], at_most=10)["met"] == "no"
    assert row("lossless", "CPU", "ms", [12.0])["met"] == ""


def test_a_process_that_is_gone_is_left_out() -> None:
    assert usage_of_graph(2**22 + 1) == {}


@pytest.mark.parametrize("minutes", ["-1", "0", "nan", "inf", "soon"])
def test_a_time_that_can_not_pass_is_refused_in_one_line(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["soak", f"--minutes={minutes}"])
    assert ended.value.code == 2
    assert f"argument --minutes: invalid number (above 0) value: '{minutes}'" in capsys.readouterr().err
