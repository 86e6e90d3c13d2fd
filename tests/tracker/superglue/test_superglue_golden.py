"""SuperPoint and SuperGlue compute what their authors' code has computed with the same deterministic weights."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers")

from tools.goldens.folder_weights import Weights
from tools.goldens.trackers import superglue
from tools.goldens.trackers.superglue_weights import superglue_weights, superpoint_weights


def test_the_random_weights_are_those_of_the_recipe():
    for weights, count, total, size in (
        (superpoint_weights(0), 24, 9.306805, 54057.841926),
        (superglue_weights(0), 339, 18065.890713, 1168189.002771),
    ):
        assert len(weights) == count
        assert sum(t.double().sum().item() for t in weights.values()) == pytest.approx(total, abs=1e-5)
        assert sum(t.double().abs().sum().item() for t in weights.values()) == pytest.approx(size, abs=1e-5)


def test_our_answers_are_the_golden_ones(golden: Path):
    folder = golden / "trackers"
    if not (folder / "superglue_dog.npz").is_file():
        pytest.skip(f"{folder} holds no superglue_dog.npz")
    weights = Weights(folder)
    rows = superglue.compare(folder / "superglue_dog.npz", folder, weights)
    assert [row for row in rows if not row.ok] == []
    assert len(rows) == 76
    assert weights.origins == [
        "SuperGlue: seed 0, whose first map fits superglue_dog.npz",
        "SuperGlue: draws of seed 72, as superglue_dog.npz has them",
    ]
