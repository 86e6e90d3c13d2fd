"""`evaluate.py score`: masks that any program wrote, and the truth, in; J and F of every sequence out."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.evaluation.layout import VideoSequence, find_results, find_truth, names_of, read_label_file
from tools.evaluation.page import Chapter, write_page
from tools.evaluation.pool import Tick, run_tasks
from tools.evaluation.scoring import Score, score_results, table


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What --json writes."""
    sequences = find_truth(options.truth, names_of(options), merge=options.merge)
    files = [find_results(options.results, s) for s in sequences]  # before the work: a missing file ends it at once
    tasks = [Task(s, tuple(f)) for s, f in zip(sequences, files, strict=True)]
    scores = run_tasks(compare, tasks, [len(f) for f in files], jobs=options.jobs, title="score")
    report = table(scores, None)
    if options.html:
        chapters = [Chapter(t.sequence, s, t.labels) for t, s in zip(tasks, scores, strict=True)]
        write_page(options.html, f"score: {options.results}", report, chapters)
    return report


@dataclass(frozen=True)
class Task:
    """One sequence to compare."""

    sequence: VideoSequence
    results: tuple[Path, ...]  # one a frame

    def labels(self, index: int) -> Any:
        """(H, W) label image of a frame."""
        return read_label_file(self.results[index])


def compare(task: Task, tick: Tick) -> Score:
    """Score one sequence."""
    return score_results(task.sequence, task.results, tick)
