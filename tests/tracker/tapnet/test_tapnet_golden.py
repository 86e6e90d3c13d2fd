"""TapNet computes what its authors' code has computed with the same deterministic weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.goldens.rows import Golden
from tools.goldens.trackers import tapnet
from tools.goldens.trackers.frames import frames_of, square_frames_of
from tools.goldens.trackers.tapnet_weights import tapnet_network, tapnet_weights


def test_the_random_weights_are_those_of_the_recipe():
    weights = tapnet_weights(0)
    assert sum(t.double().sum().item() for t in weights.values()) == pytest.approx(3225.887741, abs=1e-5)
    assert sum(t.double().abs().sum().item() for t in weights.values()) == pytest.approx(87217.664342, abs=1e-5)


def test_our_answers_are_the_golden_ones(golden: Path):
    folder = golden / "trackers"
    if not (folder / "tapnet_dog.npz").is_file():
        pytest.skip(f"{folder} holds no tapnet_dog.npz")
    file, network = Golden(folder / "tapnet_dog.npz"), tapnet_network(tapnet_weights(0))
    rows = tapnet.network_rows(file, square_frames_of(file.path, folder), network)
    rows += tapnet.wrapper_rows(file, frames_of(file.path, folder, "even"), network)
    assert [row for row in rows if not row.ok] == []
    assert len(rows) == 36
