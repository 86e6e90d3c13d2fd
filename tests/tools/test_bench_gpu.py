"""`benchmark.py gpu` on tiny input and the CPU: every part runs, so that it works on the day that a GPU is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tools import benchmark
from tools.bench.gpu.networks import write_still_pips
from tools.bench.gpu.parts import BUDGET_S, OVERTIME_S, Measurement, Outcome, run_part

CPU = torch.device("cpu")


def measured(tmp_path: Path, part: str) -> tuple[dict[str, Any], str]:
    """The report of one part, and its table."""
    out, table = tmp_path / "out.json", tmp_path / "out.md"
    options = ["gpu", "--quick", "--device", "cpu", "--part", part, "--json", str(out), "--table", str(table)]
    assert benchmark.main(options) == 0
    return json.loads(out.read_text()), table.read_text()


def test_golden_compares_every_precision_with_the_cpu(tmp_path: Path) -> None:
    report, table = measured(tmp_path, "golden")
    errors = {(r["part"], r["measure"]): r for r in report["rows"]}
    exact, rounded = (errors["PIPS", f"{name}, trajectories"] for name in ("float32", "bfloat16"))
    assert exact["met"] == "yes"
    assert rounded["value"] > exact["value"]
    assert (
        errors["SAM ViT-B", "bfloat16, embedding"]["value"] > 0.1 > errors["SAM ViT-B", "float32, embedding"]["value"]
    )
    assert errors["SAM ViT-B", "2 objects together against one by one, logits"]["met"] == "yes"
    assert report["device"] == {"device": "cpu", "threads": torch.get_num_threads(), "torch": torch.__version__}
    assert f"torch {torch.__version__}" in table
    assert report["not_measured"] == {}
    assert "| PIPS | float32, trajectories |" in table


def test_decoder_times_encodes_and_frames_and_keeps_a_profile(tmp_path: Path) -> None:
    report, _ = measured(tmp_path, "decoder")
    values = {r["measure"]: r["value"] for r in report["rows"]}
    assert values["float32, all passes of 5 objects"] > values["float32, all passes of 1 objects"] > 0
    assert 0 < values["float32, a frame of 5 objects, operators"] <= 100
    profiles = sorted(tmp_path.glob("out-*.txt"))
    assert len(profiles) == len(report["profiles"]) == 2
    assert "aten::" in profiles[0].read_text()


def test_pipeline_runs_the_graph_with_deterministic_weights(tmp_path: Path) -> None:
    report, _ = measured(tmp_path, "pipeline")
    values = {r["measure"]: r["value"] for r in report["rows"]}
    assert values["masks"] > 0
    assert values["capture to publish, p50"] <= values["capture to publish, p99"]
    assert values["start of the command to masks of all objects"] > 0
    assert values["encodes of SAM alone"] >= 0


def test_tracker_measures_point_trackers(tmp_path: Path) -> None:
    report, _ = measured(tmp_path, "tracker")
    assert {r["part"].partition(",")[0] for r in report["rows"]} == {"PIPS", "pips", "lucas_kanade"}
    live = {(r["measure"], r["unit"]): r["value"] for r in report["rows"] if r["part"].startswith("PIPS, ")}
    assert live["encode", "ms"] > 0
    assert live["a window of 2 points", "% of the matrix peak"] > 0
    assert live["waits of a frame of 2 points", ""] == 1
    assert len(report["profiles"]) == 1


def test_what_fails_or_needs_a_gpu_is_told_and_the_rest_is_measured() -> None:
    def broken() -> list[Any]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    def strange() -> list[Any]:
        raise AssertionError

    rows = [{"part": "x"}]
    outcome = Outcome()
    parts = [
        Measurement("a", broken),
        Measurement("b", lambda: rows),
        Measurement("c", lambda: rows, needs_gpu="slow"),
        Measurement("d", strange),
    ]
    run_part("decoder", parts, CPU, outcome)
    assert outcome.rows == rows
    assert outcome.not_measured == {
        "decoder: a": "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "decoder: c": "slow",
        "decoder: d": "AssertionError: ",
    }


@pytest.mark.parametrize(
    ("took_s", "taken"),
    [
        (BUDGET_S + 1, 1),
        (BUDGET_S / 2 - 1, 2),  # a third would begin in time, and end too late
        (OVERTIME_S, 12),
    ],
)
def test_a_part_begins_nothing_that_would_not_end_within_eight_minutes(took_s: float, taken: int) -> None:
    now, outcome = [0.0], Outcome()

    def take() -> list[Any]:
        now[0] += took_s
        return [{}]

    names = [f"{i}" for i in range(12)]
    run_part("tracker", [Measurement(name, take) for name in names], CPU, outcome, clock=lambda: now[0])
    assert len(outcome.rows) == taken
    assert list(outcome.not_measured) == [f"tracker: {name}" for name in names[taken:]]
    assert now[0] <= max(480, took_s)


def test_a_device_that_is_lost_takes_nothing_with_it_that_was_measured_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> Any:
        raise RuntimeError("CUDA error: unknown error\nCompile with more to see")

    monkeypatch.setattr(torch.cuda, "empty_cache", lost)
    outcome = Outcome()
    run_part("decoder", [Measurement("a", lambda: [{}]), Measurement("b", lost)], torch.device("cuda"), outcome)
    assert len(outcome.rows) == 1
    assert outcome.not_measured == {"decoder: b": "RuntimeError: CUDA error: unknown error"}


def test_a_gpu_that_is_not_there_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    assert benchmark.main(["gpu", "--device", "cuda"]) == 2
    assert "PyTorch finds no GPU here" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["banana", "", "mps", "cpu:1"])
def test_a_device_of_another_kind_is_one_message(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["gpu", "--device", name]) == 2
    assert capsys.readouterr().err == f"benchmark: error: --device is {name!r}; take auto, cpu, cuda or cuda:N\n"


def test_a_machine_without_pytorch_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(options: Any) -> Any:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(benchmark, "run", without)
    assert benchmark.main(["gpu"]) == 2
    assert capsys.readouterr().err == "benchmark: error: this needs the package torch, which is not installed here\n"


def test_a_table_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, reason in ((tmp_path, "that is a folder"), (tmp_path / "no" / "t.md", "the folder does not exist")):
        assert benchmark.main(["gpu", "--device", "cpu", "--quick", "--part", "device", "--table", str(path)]) == 2
        assert capsys.readouterr().err.startswith(f"benchmark: error: --table {path}: {reason}; ")


def test_measurements_are_taken_by_name_and_a_name_that_none_has_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["gpu", "--device", "cpu", "--quick", "--part", "device", "--only"]
    out = tmp_path / "out.json"
    assert benchmark.main([*command, "products", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert {r["measure"].partition(",")[0] for r in report["rows"]} == {"matrix product"}
    assert report["not_measured"] == {}
    capsys.readouterr()
    assert benchmark.main([*command, "ViT-X"]) == 2
    assert capsys.readouterr().err == (
        "benchmark: error: --only ViT-X: no measurement's name holds it; there are: "
        "matrix products, copies and launches, copies between host and device\n"
    )


def test_points_of_the_still_pips_stay_in_sight(tmp_path: Path) -> None:
    import numpy as np

    from nodes.tracker.pips.backend import PipsModel
    from nodes.tracker.pips.checkpoint import load_pips
    from nodes.tracker.point_model import Points

    model = PipsModel(load_pips(write_still_pips(tmp_path)))
    frames = [np.random.default_rng(i).integers(0, 255, (64, 96, 3), np.uint8) for i in range(3)]
    features, xy = [model.encode(frame) for frame in frames], np.array([[20, 30], [70, 40]], np.float32)
    points = Points(xy, np.ones(2, np.uint8), np.ones(2, np.int32), model.describe(features[0], xy))
    found = model.track(features, points, None)
    assert np.abs(found.xy - xy).max() < 1e-3
    assert found.visibility.min() > 0.9
