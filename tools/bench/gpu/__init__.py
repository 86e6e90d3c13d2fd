"""`benchmark.py gpu`: what runs on a GPU, proved and measured in parts of less than eight minutes each."""

from __future__ import annotations

import argparse
from typing import Any

from tools.bench.rows import Row


def measure(options: argparse.Namespace) -> tuple[list[Row], dict[str, Any]]:
    """The rows of the parts that the options name; what the device is, profiles, and what could not be measured."""
    from stream.errors import StreamError
    from stream.weights.devices import allow_tf32, choose_device
    from tools.bench.gpu.device_facts import device_facts
    from tools.bench.gpu.parts import measure as measure_parts
    from tools.bench.gpu.table import write_profiles, write_table

    device = choose_device("--device", options.device)
    allow_tf32(False)
    outcome = measure_parts(options, device)
    facts = device_facts(device)
    if not outcome.rows:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in outcome.not_measured.items())
        raise StreamError(f"nothing could be measured on {facts['device']}: {reasons}")
    if options.table:
        write_table(options.table, outcome, facts)
        write_profiles(options.table, outcome.profiles)
    more = {"device": facts, "not_measured": outcome.not_measured, "profiles": outcome.profiles}
    return outcome.rows, more
