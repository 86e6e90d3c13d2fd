"""The simulation of many cameras: its command, its table, and that its scenarios happen."""

from __future__ import annotations

import json

import pytest

from stream.scheduling.placement import Device
from tools import simulate
from tools.simulation.engine import CameraSpec, Simulation
from tools.simulation.profiles import PROFILES
from tools.simulation.scenarios import SCENARIOS


def test_it_prints_a_table_and_writes_the_numbers(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert simulate.main(["--cameras", "16", "--devices", "2", "--seconds", "3", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert [row["scenario"] for row in report["rows"]] == list(SCENARIOS)
    assert report["assumed"] is True
    for row in report["rows"]:
        assert 0 < row["rate_hz"]["least"] <= row["rate_hz"]["median"] <= row["rate_hz"]["most"] <= 10.5
        assert 0 < row["age_ms"]["p50"] <= row["age_ms"]["p99"]
        assert row["jain_index"] > 0.6
        assert row["occupancy"] >= 1
    assert "assumed, not measured" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_numbers():
    options = simulate.parse(["--seconds", "2", "--scenario", "hogs", "--seed", "5"])
    assert simulate.run(options) == simulate.run(options)


def test_a_lost_device_costs_its_cameras_some_seconds_and_the_others_little():
    cameras = [CameraSpec(f"c{i}", 5.0) for i in range(12)]
    simulation = Simulation(cameras, [Device(f"d{i}") for i in range(3)], PROFILES["mobile-gpu"])
    lost = {name for name, c in simulation.cameras.items() if c.device is simulation.devices["d0"]}
    SCENARIOS["loss"](simulation, 15.0)
    simulation.run(simulation.warm_up_s + 15.0)
    assert simulation.moved == 0
    assert len(lost) == 4
    for name, camera in simulation.cameras.items():
        assert camera.device is not None
        assert camera.device.alive
        if name in lost:
            assert 0.3 * 75 < camera.done["decoder"] < 0.8 * 75
        else:
            assert camera.done["decoder"] > 0.8 * 75


def test_cameras_come_and_go_and_nobody_is_left_out():
    cameras = [CameraSpec(f"c{i}", 5.0) for i in range(40)]
    simulation = Simulation(cameras, [Device(f"d{i}") for i in range(4)], PROFILES["mobile-gpu"])
    SCENARIOS["churn"](simulation, 5.0)
    simulation.run(simulation.warm_up_s + 5.0)
    assert len(simulation.cameras) == 40
    assert len(simulation.gone) == 2
    assert {"c0-new", "c1-new"} <= set(simulation.cameras)
    assert simulation.cameras["c0-new"].done["decoder"] > 0


def test_measured_costs_take_the_place_of_those_of_the_profile(tmp_path):
    costs = tmp_path / "costs.json"
    rows = [{"part": "sam encode", "fixed_ms": 1.0, "unit_ms": 2.0}, {"part": "other", "fixed_ms": 1.0, "unit_ms": 1.0}]
    costs.write_text(json.dumps({"rows": rows}))
    report = simulate.run(simulate.parse(["--seconds", "1", "--scenario", "steady", "--costs", str(costs)]))
    assert report["costs"]["sam encode"] == {"fixed_ms": 1.0, "unit_ms": 2.0}
    assert report["assumed"] is True, "the other costs still are"


@pytest.mark.parametrize("text", ["{}", "no json", '{"rows": [{"part": "sam encode"}]}', '{"rows": []}'])
def test_a_file_without_costs_is_refused(tmp_path, capsys, text):
    costs = tmp_path / "costs.json"
    costs.write_text(text)
    assert simulate.main(["--costs", str(costs)]) == 2
    assert "--costs" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--cameras", "0"], ["--seconds", "-1"], ["--profile", "none"]])
def test_wrong_arguments_end_with_two(arguments):
    with pytest.raises(SystemExit) as ended:
        simulate.main(arguments)
    assert ended.value.code == 2
