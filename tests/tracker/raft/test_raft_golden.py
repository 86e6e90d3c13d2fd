"""RAFT computes what its authors' code has computed with the same deterministic weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.goldens.rows import Golden
from tools.goldens.trackers import raft
from tools.goldens.trackers.frames import frames_of
from tools.goldens.trackers.raft_weights import raft_module, raft_weights


def test_the_random_weights_are_those_of_the_recipe():
    weights = raft_weights(0)
    assert len(weights) == 179
    assert sum(t.double().sum().item() for t in weights.values()) == pytest.approx(3271.403769, abs=1e-5)
    assert sum(t.double().abs().sum().item() for t in weights.values()) == pytest.approx(193340.808132, abs=1e-5)


@pytest.mark.parametrize("kind", [pytest.param("even", marks=pytest.mark.slow), "odd"])
def test_our_answers_are_the_golden_ones(golden: Path, kind: str):
    """The trajectories of 32 updates take a minute: `tools/golden.py` compares them."""
    folder = golden / "trackers"
    if not (folder / "raft_dog.npz").is_file():
        pytest.skip(f"{folder} holds no raft_dog.npz")
    file = Golden(folder / "raft_dog.npz")
    frames, module = frames_of(file.path, folder, kind), raft_module(raft_weights(0))
    rows = raft.inside(file, kind, frames, module)
    if kind == "even":
        rows += raft.tracks(file, kind, frames, module, raft.FEW)
    assert [row for row in rows if not row.ok] == []
    assert len(rows) >= 15
