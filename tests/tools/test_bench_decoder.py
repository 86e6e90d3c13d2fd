"""The benchmark of the decoder, once on a network of nothing: the shape of its table, not its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import benchmark
from tools.bench.decoder_runs import Prompted, operations


def test_decoder_measures_encodes_passes_frames_and_both_ways_to_decode(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert benchmark.main(["decoder", "--quick", "--device", "cpu", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    values = {(r["part"], r["measure"], r["unit"]): r["value"] for r in rows}
    of_sam = {
        measure: value for (part, measure, unit), value in values.items() if part.startswith("sam") and unit == "ms"
    }
    assert of_sam["encode, float32, 512 px"] < of_sam["encode, package, float32, 1024 px"]
    assert values["2 objects", "a frame", "ms"] > values["2 objects", "all passes of a frame", "ms"] > 0
    assert values["2 objects", "all passes, package, one by one", "ms"] > 0
    (target,) = (r for r in rows if r["measure"] == "together / package, one by one")
    assert target["target"] == "<= 0.5"
    assert 0 < next(r["value"] for r in rows if r["measure"].startswith("error of")) < 10
    assert all(0 < r["value"] < 200 for r in rows if r["unit"] == "% of peak")


def test_every_object_is_prompted_with_the_others_as_negatives() -> None:
    prompted = Prompted(3)
    assert prompted.xy.shape == (3, 8 + 1 + 2 * 8, 2)
    assert prompted.labels.sum(axis=1).tolist() == [8, 8, 8]
    assert (prompted.xy[0, 9:17] == prompted.xy[1, :8]).all()


def test_operations_count_products_and_attention() -> None:
    import torch

    a, b = torch.zeros(3, 5), torch.zeros(5, 7)
    q = torch.zeros(1, 2, 4, 8)
    assert operations(lambda: a @ b) == 2 * 3 * 5 * 7
    assert operations(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q)) == 2 * 2 * 4 * 4 * 16


def test_a_model_that_the_backend_does_not_have_ends_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["decoder", "--backend", "mobile_sam", "--model", "vit_b", "--device", "cpu"]) == 2
    assert "mobile_sam" in capsys.readouterr().err


def test_sam_2_and_edgetam_are_timed_beside_sam(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = ["decoder", "--backend", "edgetam", "--quick", "--device", "cpu", "--json", str(out)]
    assert benchmark.main(command) == 0
    values = {(r["part"], r["measure"]): r["value"] for r in json.loads(out.read_text())["rows"]}
    for part in ("sam vit_b, 256 px, cpu", "edgetam, 256 px, cpu"):
        assert values[part, "a frame, 1 object, 3 refinements"] > values[part, "encode"] > 0
        assert min(values[part, "a pass, 1 object"], values[part, "a pass, 5 objects"]) > 0
    assert values["edgetam, 256 px, cpu", "encode, package"] > 0


def test_a_model_that_sam_2_does_not_have_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["decoder", "--backend", "sam2", "--model", "huge", "--device", "cpu"]) == 2
    assert "sam2 has no such model" in capsys.readouterr().err
