"""The parts `device`, `cameras` and `train` of `benchmark.py gpu`, once on tiny input and the CPU."""

from __future__ import annotations

import json

import pytest

from stream.errors import ConfigError
from tools import benchmark
from tools.simulation.profiles import PROFILES, with_measured_costs


def measured(tmp_path, part):
    out = tmp_path / "out.json"
    assert benchmark.main(["gpu", "--quick", "--device", "cpu", "--part", part, "--json", str(out)]) == 0
    return json.loads(out.read_text()), out


def test_the_device_is_measured_and_what_a_cpu_lacks_is_told(tmp_path):
    report, _ = measured(tmp_path, "device")
    values = {r["measure"]: r["value"] for r in report["rows"]}
    assert {"matrix product, float32", "matrix product, bfloat16", "launch of a small kernel"} <= set(values)
    assert values["launch of a small kernel"] > 0
    assert list(report["not_measured"]) == ["device: copies between host and device"]


def test_cameras_are_served_and_the_simulation_takes_the_costs(tmp_path):
    report, out = measured(tmp_path, "cameras")
    assert report["not_measured"] == {}
    values = {r["measure"]: r["value"] for r in report["rows"]}
    assert values["cameras that one device carries"] in (0, 1)
    assert values["masks, a camera"] > 0
    assert values["CPU of the model's process"] > 0
    profile = with_measured_costs(PROFILES["mobile-gpu"], out)
    assert not profile.assumed
    assert profile.costs["pips window"] == pytest.approx(
        (values["pips window, fixed"] / 1e3, values["pips window, each"] / 1e3)
    )
    with pytest.raises(ConfigError, match="profile sam-gpu"):  # the costs are of another network
        with_measured_costs(PROFILES["sam-gpu"], out)


def test_fitting_is_measured(tmp_path):
    report, _ = measured(tmp_path, "train")
    assert report["not_measured"] == {}
    assert {r["part"] for r in report["rows"]} == {"window network", "pixel network"}
