"""What a frame asks of a device: the steps of its stages, and what batches of each cost.

| profile | where its numbers are from |
|---|---|
| sam-cpu | measured: `benchmark.py tracker` at 576x1024, `decoder` at 512 px (docs/benchmarks.md), 2 cores |
| lite-cpu | measured: `benchmark.py lite`, one thread; cameras share nothing but its time |
| sam-gpu | ASSUMED, nothing was measured on a GPU: PIPS and SAM ViT-B at 1024 px on a data-centre GPU, half precision |
| mobile-gpu | ASSUMED as well: PIPS and MobileSAM at 1024 px |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stream.errors import ConfigError

Cost = tuple[float, float]  # (a, c) seconds: a batch of b units costs a + c * b


@dataclass(frozen=True)
class Step:
    """A request, or several of a kind one after the other."""

    group: str
    times: int = 1
    by_object: bool = False  # its units are the camera's objects; else one
    batched: bool = True  # requests of several cameras may go together


@dataclass(frozen=True)
class Profile:
    """What each frame of a camera asks for."""

    name: str
    assumed: bool  # its costs were not measured
    stages: dict[str, tuple[Step, ...]]  # in the order in which a frame passes through them
    costs: dict[str, Cost]
    price_per_hour: float  # of one device, USD: assumed in every profile

    def cost_s(self, group: str, units: int) -> float:
        """What a batch costs on a device of speed 1."""
        fixed_s, unit_s = self.costs[group]
        return fixed_s + unit_s * units

    def load(self, fps: float, objects: int) -> float:
        """Seconds a second that a camera asks for where nothing is batched."""
        frame_s = sum(
            step.times * self.cost_s(step.group, objects if step.by_object else 1)
            for steps in self.stages.values()
            for step in steps
        )
        return fps * frame_s


LITE = (Step("lite", by_object=True, batched=False),)
PIPS = (Step("pips encode"), Step("pips window", by_object=True))
SAM = (Step("sam encode"), Step("sam pass", times=5, by_object=True))  # three refinements and two to begin with

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("lite-cpu", False, {"decoder": LITE}, {"lite": (0.013, 0.004)}, 0.10),
        Profile(
            "sam-cpu",
            False,
            {"tracker": PIPS, "decoder": SAM},
            {
                "pips encode": (0.0, 1.0),
                "pips window": (0.0, 0.65),
                "sam encode": (0.0, 1.6),
                "sam pass": (0.017, 0.046),
            },
            0.10,
        ),
        Profile(
            "sam-gpu",
            True,
            {"tracker": PIPS, "decoder": SAM},
            {
                "pips encode": (0.002, 0.003),
                "pips window": (0.010, 0.001),
                "sam encode": (0.004, 0.012),
                "sam pass": (0.003, 0.0005),
            },
            2.50,
        ),
        Profile(
            "mobile-gpu",
            True,
            {"tracker": PIPS, "decoder": SAM},
            {
                "pips encode": (0.002, 0.003),
                "pips window": (0.010, 0.001),
                "sam encode": (0.004, 0.002),
                "sam pass": (0.003, 0.0005),
            },
            2.50,
        ),
    )
}


def with_measured_costs(profile: Profile, path: Path) -> Profile:
    """The profile with costs that were measured: by `benchmark.py sharing`, or `gpu --part cameras`, with `--json`.

    ConfigError where the file has none.
    """
    try:
        rows = json.loads(path.read_text())["rows"]
        measured = _by_sharing(rows, profile) or _by_gpu(rows, profile)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--costs {path}: {error}; it needs what `benchmark.py sharing --json` or `benchmark.py gpu --json` writes"
        ) from None
    if not measured:
        raise ConfigError(f"--costs {path}: no row is of {', '.join(profile.costs)} (profile {profile.name})")
    missing = profile.costs.keys() - measured.keys()
    return replace(profile, costs=profile.costs | measured, assumed=profile.assumed and bool(missing))


def _by_sharing(rows: Sequence[dict[str, Any]], profile: Profile) -> dict[str, Cost]:
    """Of rows with a kind of work each."""
    return {row["part"]: (row["fixed_ms"] / 1e3, row["unit_ms"] / 1e3) for row in rows if row["part"] in profile.costs}


def _by_gpu(rows: Sequence[dict[str, Any]], profile: Profile) -> dict[str, Cost]:
    """Of rows with a number each, those of this profile."""
    values = {row["measure"]: row["value"] / 1e3 for row in rows if row["part"] == f"costs, {profile.name}"}
    return {
        group: (values[f"{group}, fixed"], values[f"{group}, each"])
        for group in profile.costs
        if f"{group}, fixed" in values
    }
