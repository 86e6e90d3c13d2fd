#!/usr/bin/env python3
"""Measure quality: a data set and a preset in; J, F and J&F, point accuracy or AP and AR out.

python tools/evaluate.py vos --root DAVIS --config lite --prompt mask --json vos.json --html vos.html
python tools/evaluate.py first --root DAVIS                 first-frame IoU of clicks and boxes
python tools/evaluate.py first --root DAVIS --candidates    of one click: its default mask, and the best on offer
python tools/evaluate.py live --root DAVIS --fps 25         what a consumer has, in real time
python tools/evaluate.py score --results DIR --truth DAVIS  masks that any program wrote
python tools/evaluate.py points                             tracked points against drawn truth
python tools/evaluate.py vis --results R.json --truth T.json  AP and AR of mask tracks (UVO, YouTube-VIS)

DIR is laid out as DAVIS, MOSE or YouTube-VOS (tools/evaluation/layout.py).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

SUBJECTS = {  # name -> what it does
    "vos": "follow every object of a data set with the live graph's own cores, losslessly; J and F by DAVIS' rules",
    "first": "the first mask of a prompt: IoU of clicks and boxes, with and without one more frame",
    "live": "play sequences in real time into the whole graph, and score what a consumer had at each moment",
    "score": "J and F of masks that any program wrote",
    "points": "tracked points against drawn truth: position and occlusion accuracy, average Jaccard (as TAP-Vid)",
    "vis": "AP and AR of mask tracks, by COCO's rules over tracks (UVO, YouTube-VIS)",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    options = parse(argv)
    from tools.report_command import run_report

    return run_report("evaluate", options, run, show, ("json", "html"))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    for name, text in SUBJECTS.items():
        p = subjects.add_parser(name, help=text, description=text, allow_abbrev=False)
        add = p.add_argument
        if name in ("vos", "first", "live"):
            add("--root", type=Path, required=True, metavar="DIR", help="the data set")
        if name in ("score", "vis"):
            form = (
                "folder SEQ/00000.png, or .masks.jsonl of a recording"
                if name == "score"
                else "JSON of YouTube-VIS' form"
            )
            add("--results", type=Path, required=True, metavar="PATH", help=f"what is scored: {form}")
            add("--truth", type=Path, required=True, metavar="PATH", help="data set or folder of annotations, or JSON")
        if name in ("vos", "first", "live", "points"):
            add("--config", default="lite", metavar="PRESET", help="preset, or a .yaml file (default: lite)")
            add("--set", action="append", default=[], metavar="a.b=c", help="lay a value over the config (repeatable)")
        if name in ("vos", "first", "live", "score"):
            which = p.add_mutually_exclusive_group()
            which.add_argument("--sequences", default="", metavar="A,B", help="only these (default: all)")
            which.add_argument("--list", type=Path, metavar="FILE", help="only those in a file of one a line")
            add("--merge", action="store_true", help="all ids are one object (0/255 pictures are so anyway)")
        if name in ("vos", "live"):
            add("--prompt", choices=("mask", "box", "points"), default="mask", help="of the true mask (default: mask)")
        if name == "first":
            add(
                "--candidates", action="store_true", help="clicks alone: the default mask, and the best that is offered"
            )
            add("--clicks", type=int, default=1, metavar="N", help="how many, with --candidates (1)")
        if name == "vos":
            add("--save", type=Path, metavar="DIR", help="write label images as a submission folder")
        if name == "live":
            add("--fps", type=_positive, default=25.0, metavar="HZ", help="frames a second (25)")
            add("--due", type=float, metavar="MS", help="when a frame's mask is due (one frame's time)")
            add("--loss", action="store_true", help="follow them losslessly as well, and tell what real time has cost")
        if name == "points":
            add("--sequences", default="", metavar="A,B", help="only these clips (default: all)")
            add("--frames", type=int, default=100, metavar="N", help="frames of each drawn clip (100)")
            add(
                "--offline", action="store_true", help="track the whole clip in both directions (paper, for comparison)"
            )
        if name == "vis":
            add("--by-category", action="store_true", help="match within categories (default: class-agnostic, as UVO)")
        if name != "live":
            add("--jobs", type=int, default=2, metavar="N", help="processes; 1 for undisturbed timing (2)")
        if name in ("vos", "live", "score", "points"):
            add("--html", type=Path, metavar="REPORT", help="write a page of charts and film strips")
        add("--json", type=Path, metavar="OUT", help="write the table")
    options = parser.parse_args(argv)
    if getattr(options, "clicks", 1) < 1:
        parser.error(f"--clicks is {options.clicks}; needs 1 or more")
    if getattr(options, "jobs", 1) < 1:
        parser.error(f"--jobs is {options.jobs}; needs 1 or more")
    return options


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise ValueError
    return value


_positive.__name__ = "number above 0"  # argparse: "invalid number above 0 value: '0'"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the subject."""
    from stream.settings.presets import parse_override

    options.overrides = dict(parse_override(text) for text in getattr(options, "set", ()))
    report: dict[str, Any] = importlib.import_module(f"tools.evaluation.{options.subject}").measure(options)
    return report


def show(report: dict[str, Any]) -> None:
    """Print the table: a row a sequence and their mean, then what else there is to tell."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False)
    for column in ("", *report["mean"]):
        table.add_column(column.replace("_", " "), justify="right" if column else "left")
    rows = list(report.get("sequences", {}).items())
    for name, row in rows:
        table.add_row(name, *map(_figure, row.values()), end_section=name == rows[-1][0])
    table.add_row("mean" if rows else "all", *map(_figure, report["mean"].values()))
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    if report.get("ms_per_frame"):
        console.print(f"{report['ms_per_frame']:.1f} ms a frame")
    if "states" in report:
        from tools.evaluation.state_table import state_lines

        console.print("\n".join(state_lines(report["states"])))
    if "latency_ms" in report:
        late, frames = report["latency_ms"], report["frames"]
        console.print(
            f"latency p50 {late['p50']:.0f} ms, p95 {late['p95']:.0f} ms; masks came for {frames['received']} of "
            f"{frames['shown']} frames; a mask was due after {report['due_ms']:.0f} ms"
        )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
