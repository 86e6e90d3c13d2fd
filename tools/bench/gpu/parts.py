"""The parts of `benchmark.py gpu`: each is a list of measurements, done in order until the part's time is over."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from stream.errors import ConfigError
from tools.bench.rows import Row
from tools.benchmark import GPU_PARTS

BUDGET_S = 440.0  # of a part; what has begun by then is finished
OVERTIME_S = 40.0  # that it may take: a part is to end within eight minutes


@dataclass(frozen=True)
class Measurement:
    """Something that one part measures."""

    name: str
    take: Callable[[], list[Row]]
    needs_gpu: str = ""  # why there is no point in it on a CPU; empty: it is measured there as well


@dataclass
class Outcome:
    """What a run of the benchmark has found."""

    rows: list[Row] = field(default_factory=list)
    profiles: dict[str, str] = field(default_factory=dict)  # text by name
    not_measured: dict[str, str] = field(default_factory=dict)  # the reason by measurement


def measure(options: argparse.Namespace, device: torch.device) -> Outcome:
    """The parts that the options ask for."""
    outcome, parts = Outcome(), GPU_PARTS if options.part == "all" else (options.part,)
    modules = {part: importlib.import_module(f"tools.bench.gpu.{part}_part") for part in parts}
    named = {part: module.measurements(options, device, outcome.profiles) for part, module in modules.items()}
    chosen = {part: [m for m in found if options.only in m.name] for part, found in named.items()}
    if not any(chosen.values()):
        names = ", ".join(dict.fromkeys(m.name for found in named.values() for m in found))
        raise ConfigError(f"--only {options.only}: no measurement's name holds it; there are: {names}")
    for part in parts:
        run_part(part, chosen[part], device, outcome, options.budget)
    return outcome


def run_part(
    part: str,
    measurements: list[Measurement],
    device: torch.device,
    outcome: Outcome,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Take the measurements of a part in their order; one that fails keeps no other from being taken.

    None is begun that would end too late if it took as long as the longest so far.
    """
    ends_s, longest_s = clock() + budget_s, OVERTIME_S
    for m in measurements:
        name, began_s = f"{part}: {m.name}", clock()
        if m.needs_gpu and device.type == "cpu":
            outcome.not_measured[name] = m.needs_gpu
        elif began_s + longest_s > ends_s + OVERTIME_S:
            outcome.not_measured[name] = f"the {budget_s:g} s of the part leave no time for it"
        else:
            print(f"gpu: {name}", file=sys.stderr)
            try:
                outcome.rows += m.take()
            except Exception as error:  # whatever it is, what has been measured before is not to be lost
                outcome.not_measured[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            longest_s = max(longest_s, clock() - began_s)
        if device.type == "cuda":
            with contextlib.suppress(RuntimeError):  # of a device that is lost
                torch.cuda.empty_cache()
