#!/usr/bin/env python3
"""Measure: a subject in, a table of named columns and the machine it is about out.

python tools/benchmark.py pipeline --json pipeline.json    frames/s, latency, what transport takes
python tools/benchmark.py soak --frames 6000               does any process grow
python tools/benchmark.py start                            time to --help and to the first mask, memory
python tools/benchmark.py lite                             ms a frame of the lite masks on one thread
python tools/benchmark.py web                              capture to painted in a real page, the cost of viewers
python tools/benchmark.py tracker                          PIPS on line against the plain computation, ms a frame
python tools/benchmark.py tracker --backend all            every point tracker, ms a new frame
python tools/benchmark.py decoder                          SAM: ms an encode, a pass, a frame; against its package

Targets are stated, never enforced: the exit code is 0 for whatever was measured.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

SUBJECTS = {  # name -> what it measures, default of --frames, default of --repeat
    "pipeline": ("frames/s, latency at a camera's rate, the share of transport", 300, 3),
    "soak": ("resident memory of every process early and at the end of a long run", 6000, 1),
    "start": ("time to --help and to the first mask, memory of every process", 0, 3),
    "lite": ("ms a frame of the lite masks on one thread: 1, 5 and 20 objects, against a fixed yardstick", 100, 3),
    "web": ("age of a frame when Chromium has painted it; what viewers cost, and one that stops reading", 500, 1),
    "tracker": ("PIPS on line against the plain computation; six minutes of CPU time", 0, 2),
    "decoder": ("SAM's encoder and mask decoder against the package's; ten minutes of CPU time", 0, 3),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    options = parse(argv)
    from stream.errors import ConfigError, StreamError

    try:
        if options.json and not options.json.parent.is_dir():
            raise ConfigError(f"--json {options.json}: the folder does not exist; make it first")
        report = run(options)
        if options.json:
            options.json.write_text(json.dumps(report, indent=1) + "\n")
    except StreamError as error:
        print(f"benchmark: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"benchmark: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    show(report)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    for name, (text, frames, repeat) in SUBJECTS.items():
        p = subjects.add_parser(name, help=text, description=text, allow_abbrev=False)
        p.add_argument("--json", type=Path, metavar="OUT", help="write the table and the machine")
        if name not in ("tracker", "decoder"):
            p.add_argument("--config", default="lite", metavar="NAME", help="preset to measure (default: lite)")
        if frames:
            p.add_argument("--frames", type=_count(30), default=frames, metavar="N", help=f"of a run ({frames})")
        if name != "soak":
            p.add_argument(
                "--repeat", type=_count(1), default=repeat, metavar="N", help=f"runs, the median counts ({repeat})"
            )
        if name in ("pipeline", "lite"):
            p.add_argument("--size", default="854x480", metavar="WxH", help="frame size, px (854x480)")
        if name == "pipeline":
            p.add_argument("--fps", type=float, default=25.0, metavar="HZ", help="the fixed camera rate (25)")
        if name == "tracker":
            p.add_argument(
                "--backend",
                default="pips",
                metavar="NAME",
                help="a point tracker, or all: ms a new frame (pips)",
            )
            p.add_argument("--checkpoint", type=Path, metavar="FILE", help="its weights (default: random ones)")
        if name == "decoder":
            p.add_argument("--backend", default="sam", metavar="NAME", help="sam, hq_sam or mobile_sam (sam)")
            p.add_argument("--model", default="vit_b", metavar="NAME", help="vit_b, vit_l, vit_h or vit_tiny (vit_b)")
            p.add_argument("--compile", action="store_true", help="compile the encoder first, for minutes")
        if name in ("tracker", "decoder"):
            p.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
            p.add_argument("--quick", action="store_true", help="tiny input, once: does it run")
    return parser.parse_args(argv)


def _count(least: int) -> Any:
    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise ValueError
        return value

    number.__name__ = f"number ({least} or more)"  # argparse: "invalid number (1 or more) value: '0'"
    return number


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the subject: its rows, and the machine."""
    from tools.bench.machine import describe

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is loaded, as the tracker node does
    machine = describe()
    rows = importlib.import_module(f"tools.bench.{options.subject}").measure(options)
    return {"subject": options.subject, "rows": rows, "machine": machine}


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    rows = report["rows"]
    table = Table(box=SIMPLE, pad_edge=False)
    for column in rows[0]:
        table.add_column(column, justify="right" if isinstance(rows[0][column], int | float) else "left")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in report["machine"].items()), markup=False, soft_wrap=True)
    missed = [row for row in rows if row["met"] == "no"]
    for row in missed:
        name, value = (row.get("measure") or row["process"]), row.get("value", row.get("growth_percent"))
        console.print(f"not within its target: {name} {value} {row.get('unit', '%')} ({row['target']})", markup=False)
    if not missed:
        console.print("all targets are met")


if __name__ == "__main__":
    sys.exit(main())
