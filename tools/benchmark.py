#!/usr/bin/env python3
"""Measure: a subject in, a table of named columns and the machine it is about out.

python tools/benchmark.py pipeline --json pipeline.json    frames/s, latency, what transport takes
python tools/benchmark.py soak --minutes 30                does any process grow
python tools/benchmark.py fleet                            memory and CPU a camera, several in one run
python tools/benchmark.py start                            time to --help and to the first mask, memory
python tools/benchmark.py lite                             ms a frame of the lite masks on one thread
python tools/benchmark.py web                              capture to painted in a real page, the cost of viewers
python tools/benchmark.py push --url rtsp://HOST:8554/live  the age of masks with a pushed stream and without
python tools/benchmark.py record                           CPU time of copying a camera into a recording
python tools/benchmark.py tracker                          PIPS on line against the plain computation, ms a frame
python tools/benchmark.py tracker --backend all            every point tracker, ms a new frame
python tools/benchmark.py sharing                          what batches of several cameras cost
python tools/benchmark.py decoder                          SAM: ms an encode, a pass, a frame; against its package
python tools/benchmark.py decoder --backend all            SAM 2.1 and EdgeTAM beside SAM's ViT-B
python tools/benchmark.py gpu --part decoder --table gpu.md  what runs on a GPU: is it right, how fast is it

Targets are stated, never enforced: the exit code is 0 for whatever was measured.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

SUBJECTS = {  # name -> what it measures, default of --frames, default of --repeat
    "pipeline": ("frames/s, latency at a camera's rate, the share of transport", 300, 3),
    "soak": ("memory, descriptors and threads of every process over a long run", 0, 1),
    "fleet": ("memory, CPU, rate and age a camera, for each way to put nodes into processes", 0, 1),
    "start": ("time to --help and to the first mask, memory of every process", 0, 3),
    "lite": ("ms a frame of the lite masks on one thread: 1, 5 and 20 objects, against a fixed yardstick", 100, 3),
    "web": ("age of a frame when Chromium has painted it; what viewers cost, and one that stops reading", 500, 1),
    "push": ("age of masks without and with a stream that is pushed to an RTSP server, run about", 600, 2),
    "record": ("CPU time of copying a camera's packets into a recording", 0, 3),
    "tracker": ("PIPS on line against the plain computation; six minutes of CPU time", 0, 2),
    "sharing": ("SAM and PIPS for 1, 2 and 4 cameras at once: what a batch costs, and whether it pays", 0, 3),
    "decoder": ("SAM's encoder and mask decoder against the package's; ten minutes of CPU time", 0, 3),
    "gpu": ("what runs on a GPU: its error, each network, the graph; parts of less than eight minutes", 0, 1),
}


GPU_PARTS = ("device", "golden", "tracker", "decoder", "pipeline", "cameras", "train")


def main(argv: list[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    options = parse(argv)
    from tools.report_command import run_report

    return run_report("benchmark", options, run, show, ("json", "table"))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    for name, (text, frames, repeat) in SUBJECTS.items():
        p = subjects.add_parser(name, help=text, description=text, allow_abbrev=False)
        p.add_argument("--json", type=Path, metavar="OUT", help="write the table and the machine")
        if name not in ("tracker", "decoder", "sharing", "gpu", "record"):
            p.add_argument("--config", default="lite", metavar="NAME", help="preset to measure (default: lite)")
        if frames:
            p.add_argument("--frames", type=_count(30), default=frames, metavar="N", help=f"of a run ({frames})")
        if name not in ("soak", "gpu", "fleet"):
            p.add_argument(
                "--repeat", type=_count(1), default=repeat, metavar="N", help=f"runs, the median counts ({repeat})"
            )
        if name == "fleet":
            p.add_argument("--cameras", type=_count(1), default=8, metavar="N", help="drawn cameras (8)")
            p.add_argument("--fps", type=_above_zero, default=4.0, metavar="HZ", help="of each (4)")
            p.add_argument("--seconds", type=_above_zero, default=15.0, metavar="S", help="that are measured (15)")
            p.add_argument("--warm-up", type=_above_zero, default=10.0, metavar="S", help="before that (10)")
            p.add_argument(
                "--modes", default="runs,node,camera,threads", metavar="LIST", help="(runs,node,camera,threads); device"
            )
        if name == "soak":
            p.add_argument("--minutes", type=_above_zero, default=5.0, metavar="M", help="of the run (5)")
            p.add_argument("--source", default="demo", metavar="SOURCE", help="as of run_stream.py (demo)")
            p.add_argument("--box", metavar="X1,Y1,X2,Y2", help="the object, where the source is not the demo")
        if name in ("pipeline", "lite", "push", "record"):
            size = {"push": "640x360", "record": "1920x1080"}.get(name, "854x480")
            p.add_argument("--size", default=size, metavar="WxH", help=f"frame size, px ({size})")
        if name == "push":
            p.add_argument("--url", required=True, metavar="rtsp://...", help="of a server that takes a stream")
        if name == "record":
            p.add_argument("--mbit", type=_above_zero, default=10.0, metavar="N", help="a second, of the camera (10)")
            p.add_argument("--seconds", type=_above_zero, default=20.0, metavar="S", help="of each run (20)")
        if name in ("pipeline", "push", "record"):
            p.add_argument("--fps", type=_above_zero, default=25.0, metavar="HZ", help="the fixed camera rate (25)")
        if name == "tracker":
            p.add_argument(
                "--backend",
                default="pips",
                metavar="NAME",
                help="a point tracker, or all: ms a new frame (pips)",
            )
            p.add_argument("--checkpoint", type=Path, metavar="FILE", help="its weights (default: random ones)")
            p.add_argument(
                "--size", metavar="HEIGHTxWIDTH", help="of the frames (with --backend; 360x640 and 576x1024)"
            )
        if name in ("decoder", "sharing"):
            p.add_argument(
                "--backend", default="sam", metavar="NAME", help="sam, hq_sam, mobile_sam, sam2, edgetam, or all (sam)"
            )
            p.add_argument(
                "--model",
                default="vit_b",
                metavar="NAME",
                help="vit_b, vit_l, vit_h, vit_tiny; of sam2 tiny, small, base_plus, large (vit_b)",
            )
        if name == "decoder":
            p.add_argument("--compile", action="store_true", help="compile the encoder first, for minutes")
        if name == "gpu":
            p.add_argument("--part", default="all", choices=("all", *GPU_PARTS), help="what is measured (all)")
            p.add_argument(
                "--budget",
                type=_above_zero,
                default=440.0,
                metavar="S",
                help="a part begins nothing after so long (440)",
            )
            p.add_argument("--only", default="", metavar="TEXT", help="measurements whose name holds it: ViT-H")
            p.add_argument("--table", type=Path, metavar="OUT.md", help="write the table, and each profile beside it")
        if name in ("tracker", "decoder", "sharing", "gpu"):
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


def _above_zero(text: str) -> float:
    if not 0 < (value := float(text)) < math.inf:
        raise ValueError
    return value


_above_zero.__name__ = "number (above 0)"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the subject: its rows, and the machine."""
    from tools.bench.machine import describe

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is loaded, as the tracker node does
    machine = describe()
    measured = importlib.import_module(f"tools.bench.{options.subject}").measure(options)
    rows, more = measured if isinstance(measured, tuple) else (measured, {})
    return {"subject": options.subject, "rows": rows, "machine": machine, **more}


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
    for name, reason in report.get("not_measured", {}).items():
        console.print(f"not measured: {name}: {reason}", markup=False, soft_wrap=True)
    missed = [row for row in rows if row["met"] == "no"]
    for row in missed:
        name = row.get("measure") or row.get("process") or row["part"]
        value = row.get("value", row.get("mb_in_10_minutes", ""))
        unit = row.get("unit", "MB in ten minutes" if "mb_in_10_minutes" in row else "")
        console.print(
            f"not within its target: {' '.join(f'{name} {value} {unit}'.split())} ({row['target']})", markup=False
        )
    if not missed:
        console.print("all targets are met")


if __name__ == "__main__":
    sys.exit(main())
