"""`benchmark.py gpu --part train` on the CPU: what can be fitted is measured, what is not there is told."""

from __future__ import annotations

import sys
from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from stream.errors import StreamError
from tools.bench.gpu import train_part
from tools.bench.gpu.parts import Outcome, run_part

CPU = torch.device("cpu")


class OneLayer(nn.Module):
    """As the window network is called."""

    def __init__(self, mean, spread):
        super().__init__()
        self.conv = nn.Conv2d(len(mean), 1, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


def kit(**more):
    def loss(logits, truth, counted):
        return nn.functional.binary_cross_entropy_with_logits(logits, truth, counted)

    plain = {"CHANNELS": 3, "RATE": 1e-2, "DECAY": 0.0, "CLIP": 1.0, "BATCH": 2}
    return SimpleNamespace(WindowModel=OneLayer, measure_loss=loss, **{**plain, **more})


def outcome_of(monkeypatch, module) -> Outcome:
    monkeypatch.setitem(sys.modules, train_part.KIT, module)
    outcome = Outcome()
    run_part("train", train_part.measurements(Namespace(quick=True), CPU, {}), CPU, outcome)
    return outcome


def test_steps_of_the_window_network_are_timed(monkeypatch):
    outcome = outcome_of(monkeypatch, kit())
    assert outcome.not_measured == {}
    values = {r["measure"]: r["value"] for r in outcome.rows}
    assert values["cpu, float32, 2 windows, a step"] > 0
    assert values["cpu, bfloat16, 2 windows, fitted"] > 0
    assert values["the first loss, CPU"] > 0


def test_a_version_without_a_window_network_measures_the_pixel_network_alone(monkeypatch):
    outcome = outcome_of(monkeypatch, None)  # None: importing it is a ModuleNotFoundError
    assert list(outcome.not_measured) == ["train: window network"]
    assert "fits no window network" in outcome.not_measured["train: window network"]
    assert [r["part"] for r in outcome.rows] == ["pixel network"]


def test_another_kit_is_told_by_what_it_lacks(monkeypatch):
    other = kit()
    del other.measure_loss
    monkeypatch.setitem(sys.modules, train_part.KIT, other)
    with pytest.raises(StreamError, match="has no measure_loss"):
        train_part.training_kit()


def test_the_same_windows_are_drawn_each_time():
    first, again = (train_part.draw_windows(kit(), 2, (16, 24)) for _ in range(2))
    assert torch.equal(first.inputs, again.inputs)
    assert 0 < first.truth.mean() < 1
