"""The tracker's benchmark once on tiny frames: the shape of its table, and that it compares what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tracker.small_pips import SIZE, clip, network  # noqa: E402

from tools import benchmark  # noqa: E402
from tools.bench.pips import operations  # noqa: E402
from tools.bench.pips.plain import plain_features, plain_maps, plain_window  # noqa: E402
from tools.bench.pips.runs import discs, watched  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Torch's threads spin while they wait for each other: on a busy machine a second becomes minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_tracker_puts_ours_beside_the_plain_computation(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert benchmark.main(["tracker", "--quick", "--device", "cpu", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert "torch" in report["machine"]
    values = {(r["part"], r["measure"], r["unit"]): r["value"] for r in report["rows"]}
    part = "64x96, 2 points"
    assert values["cpu", "matrix product, float32", "GFLOP/s"] > 0
    assert values[part, "plain", "ms/frame"] > 0
    for mode in ("emit: horizon", "emit: frame"):
        ratio = values[part, mode, "ms/frame"] / values[part, "plain", "ms/frame"]
        assert values[part, f"{mode} / plain", ""] == pytest.approx(ratio, rel=0.01)
        assert values[part, f"{mode}, encoded", "frames/frame"] == 1
        shares = [values[part, f"{mode}, {name}", "% of time"] for name in ("encoder", "correlation", "mixer", "rest")]
        assert min(shares) > 0
        assert sum(shares) == pytest.approx(100, abs=0.5)
    assert any("bfloat16" in measure for _, measure, _ in values)


@pytest.mark.parametrize(
    ("option", "says"), [("--checkpoint", "no such file"), ("--device", "cuda:99")], ids=["checkpoint", "device"]
)
def test_what_can_not_be_had_is_said(option: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["tracker", "--quick", option, "cuda:99"]) in (2, 3)
    assert says in capsys.readouterr().err


def test_the_plain_computation_says_what_the_product_says() -> None:
    pips = network()
    frames = torch.from_numpy(np.stack(clip(8))).permute(0, 3, 1, 2)
    xy = torch.tensor([[20, 30], [50.5, 11.25], [0, 0], [90, 60], [100, -5]])
    with torch.inference_mode():
        maps = plain_maps(pips.state_dict(), frames)
        features = plain_features(maps, xy)
        trajectories, logits = plain_window(pips.state_dict(), maps, xy, features)
        pyramids = pips.encode(frames)
        run = pips.follow(pyramids, xy, pips.describe(pyramids[0], xy))
    assert (features - pips.describe(pyramids[0], xy)).abs().max() < 1e-4
    assert (trajectories - run.iterates[-1]).abs().max() < 2e-3
    assert (logits - run.visibility_logits).abs().max() < 1e-3


def test_operations_are_counted_as_the_paper_of_the_network_has_them() -> None:
    assert operations.encoder((576, 1024)) == pytest.approx(154e9, rel=0.02)
    assert operations.encoder_by_winograd((576, 1024)) < operations.encoder((576, 1024)) / 2
    assert operations.mixer(1) == pytest.approx(6 * 2 * 207e6, rel=0.01)
    assert operations.correlation(9) == 9 * operations.correlation(1)


def test_the_parts_of_a_network_are_timed_only_while_they_are_watched() -> None:
    pips = network()
    frames = torch.from_numpy(np.stack(clip(2))).permute(0, 3, 1, 2)
    with watched(pips) as spent:
        pips.encode(frames)
    pips.encode(frames)
    assert spent.encoded == 2
    assert spent.parts["encoder"] > 0
    assert spent.parts["mixer"] == 0
    assert "forward" not in vars(pips.fnet)


def test_the_decoder_of_the_benchmark_answers_with_a_disc_for_each_object() -> None:
    masks = discs(SIZE, 9)
    assert list(masks) == list(range(1, 10))
    assert all(mask.any() for mask in masks.values())
    assert np.sum(list(masks.values()), axis=0).max() == 1, "they do not touch"


@pytest.mark.parametrize(
    "backend",
    ["lucas_kanade", "raft", *(pytest.param(b, marks=pytest.mark.slow) for b in ("tapnet", "superglue", "lightglue"))],
)
def test_another_point_tracker_has_a_row_of_its_own(tmp_path: Path, backend: str) -> None:
    for package in {"superglue": ["transformers"], "lightglue": ["kornia"]}.get(backend, []):
        pytest.importorskip(package)
    out = tmp_path / "out.json"
    command = ["tracker", "--backend", backend, "--quick", "--device", "cpu", "--json", str(out)]
    assert benchmark.main(command) == 0
    values = {(r["measure"], r["unit"]): r["value"] for r in json.loads(out.read_text())["rows"]}
    for emit in ("horizon", "frame") if backend == "tapnet" else ("frame",):
        assert values[f"{backend}, emit: {emit}", "ms/frame"] > 0
    pairs = {"raft": "flows", "superglue": "matches", "lightglue": "matches"}.get(backend)
    if pairs:
        assert values[f"{backend}, emit: frame, encoded", "frames/frame"] == 1
        assert values[f"{backend}, emit: frame, {pairs}", f"{pairs}/frame"] == 1


def test_a_size_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["tracker", "--backend", "raft", "--quick", "--size", "big"]) == 2
    assert "needs HEIGHTxWIDTH" in capsys.readouterr().err


def test_a_point_tracker_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["tracker", "--backend", "raftt", "--quick"]) == 2
    assert "did you mean 'raft'" in capsys.readouterr().err
