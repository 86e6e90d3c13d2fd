"""The benchmark of batches, once on tiny networks: the shape of its table, not its figures."""

from __future__ import annotations

import json

from tools import benchmark
from tools.simulation.profiles import PROFILES, with_measured_costs


def test_it_measures_every_kind_of_batch_and_the_simulation_takes_its_costs(tmp_path):
    out = tmp_path / "out.json"
    assert benchmark.main(["sharing", "--quick", "--device", "cpu", "--json", str(out)]) == 0
    rows = {row["part"]: row for row in json.loads(out.read_text())["rows"]}
    assert set(rows) == {"sam encode", "sam pass", "pips encode", "pips window"}
    for row in rows.values():
        assert row["1 ms"] > 0
        assert row["fixed_ms"] + row["unit_ms"] > 0
        assert row["pays"] in ("yes", "no")
    profile = with_measured_costs(PROFILES["sam-gpu"], out)
    assert not profile.assumed
    assert profile.costs["sam encode"][1] == rows["sam encode"]["unit_ms"] / 1e3
