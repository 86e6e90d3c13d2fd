#!/usr/bin/env python3
"""Simulate many cameras on few devices: the scheduler and the placement of this system, in simulated time.

python tools/simulate.py                                       8 cameras on one GPU, all scenarios
python tools/simulate.py --cameras 64 --devices 4 --scenario hogs
python tools/simulate.py --plan --json plan.json               8 to 10,000 cameras on 1 to 200 devices (docs/scaling.md)
python tools/simulate.py --profile sam-cpu --costs sharing.json    with what `benchmark.py sharing --json` measured here
python tools/simulate.py --profile sam-gpu --costs cameras.json    with what `benchmark.py gpu --part cameras` measured

Costs of the profiles sam-gpu and mobile-gpu are assumed, not measured; so is every price.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

PLAN = ((8, 1), (64, 4), (1_000, 40), (10_000, 200))  # cameras, devices


def main(argv: list[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    options = parse(argv)
    from tools.report_command import run_report

    return run_report("simulate", options, run, show)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with 2."""
    from tools.simulation.profiles import PROFILES
    from tools.simulation.scenarios import SCENARIOS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--cameras", type=_count, default=8, metavar="N", help="(8)")
    parser.add_argument("--devices", type=_count, default=1, metavar="N", help="(1)")
    parser.add_argument("--plan", action="store_true", help="every size from 8 cameras to 10,000 instead")
    parser.add_argument("--scenario", choices=(*SCENARIOS, "all"), default="all", help="what happens (all)")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="sam-gpu", help="model and device (sam-gpu)")
    parser.add_argument(
        "--costs", type=Path, metavar="FILE", help="measured costs: JSON of `benchmark.py sharing` or `gpu`"
    )
    parser.add_argument("--fps", type=_positive, default=10.0, metavar="HZ", help="of each camera (10)")
    parser.add_argument("--objects", type=_count, default=1, metavar="N", help="of each camera (1)")
    parser.add_argument("--budget", type=_positive, default=0.5, metavar="S", help="capture to masks (0.5)")
    parser.add_argument("--seconds", type=_positive, default=10.0, metavar="S", help="simulated time (10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random (0)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the numbers")
    return parser.parse_args(argv)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Simulate what is asked for: a row for each size and scenario."""
    from stream.scheduling.placement import Device
    from tools.simulation.engine import CameraSpec, Simulation
    from tools.simulation.profiles import PROFILES, with_measured_costs
    from tools.simulation.results import results
    from tools.simulation.scenarios import SCENARIOS

    profile = PROFILES[options.profile]
    if options.costs:
        profile = with_measured_costs(profile, options.costs)
    sizes = PLAN if options.plan else ((options.cameras, options.devices),)
    names = list(SCENARIOS) if options.scenario == "all" else [options.scenario]
    rows = []
    for cameras, devices in sizes:
        for name in names:
            began_s = time.monotonic()
            simulation = Simulation(
                [CameraSpec(f"c{i}", options.fps, options.objects) for i in range(cameras)],
                [Device(f"d{i}") for i in range(devices)],
                profile,
                budget_s=options.budget,
                seed=options.seed,
            )
            SCENARIOS[name](simulation, options.seconds)
            simulation.run(simulation.warm_up_s + options.seconds)
            row = {"cameras": cameras, "devices": devices, "scenario": name, **results(simulation, options.seconds)}
            rows.append(row)
            print(f"simulate: {cameras} cameras, {name}: {time.monotonic() - began_s:.1f} s", file=sys.stderr)
    return {
        "profile": profile.name,
        "costs": {group: {"fixed_ms": 1e3 * a, "unit_ms": 1e3 * c} for group, (a, c) in profile.costs.items()},
        "assumed": profile.assumed,
        "price_per_hour": profile.price_per_hour,
        "fps": options.fps,
        "objects": options.objects,
        "budget_s": options.budget,
        "seconds": options.seconds,
        "seed": options.seed,
        "rows": rows,
    }


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False)
    columns = (
        "cameras",
        "devices",
        "scenario",
        "masks/s a camera",
        "least",
        "Jain",
        "age p50",
        "p99 ms",
        "batch",
        "busy",
    )
    for column in (*columns, "device a camera", "USD a month"):
        table.add_column(column, justify="left" if column == "scenario" else "right")
    for row in report["rows"]:
        table.add_row(
            f"{row['cameras']:,}",
            str(row["devices"]),
            row["scenario"],
            f"{row['rate_hz']['mean']:.2f}",
            f"{row['rate_hz']['least']:.2f}",
            f"{row['jain_index']:.3f}",
            f"{row['age_ms']['p50']:.0f}",
            f"{row['age_ms']['p99']:.0f}",
            f"{row['occupancy']:.1f}",
            f"{100 * row['busy']:.0f} %",
            f"{100 * row['device_s_per_camera_s']:.1f} %",
            f"{row['usd_per_camera_month']:.0f}",
        )
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(table)
    costs = "assumed, not measured" if report["assumed"] else "measured"
    console.print(
        f"profile {report['profile']}: costs {costs}; {report['price_per_hour']:g} USD a device and hour, assumed",
        markup=False,
    )


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; needs 1 or more")
    return value


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; needs more than 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
