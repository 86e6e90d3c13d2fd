"""What was found as a Markdown table, ready for docs/benchmarks.md, and the profiles as text beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tools.bench.gpu.parts import Outcome


def write_table(path: Path, outcome: Outcome, facts: dict[str, Any]) -> None:
    """The rows, the device, and what could not be measured with its reason."""
    lines = [
        ", ".join(f"{name} {value}" for name, value in facts.items()),
        "",
        "| part | measure | value | unit | target | met |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['part']} | {r['measure']} | {r['value']:g} | {r['unit']} | {r['target']} | {r['met']} |"
            for r in outcome.rows
        ),
        "",
        *(f"- not measured: {name}: {reason}" for name, reason in outcome.not_measured.items()),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n")


def write_profiles(table: Path, profiles: dict[str, str]) -> None:
    """A text file a profile, named after the table."""
    for name, text in profiles.items():
        table.with_name(f"{table.stem}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.txt").write_text(text)
