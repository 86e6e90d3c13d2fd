"""States, scores and J of every frame in, a table of how far states and scores can be trusted out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.messages import Masks, State
from tools.evaluation.scoring import Score

DOUBTFUL_J, WRONG_J = 0.5, 0.3  # below these a mask is doubtful, or on something else
SCORE_BINS = 5  # of the reliability of `score`


@dataclass(frozen=True)
class Judgement:
    """One object on one frame: what was published of it, and what is true."""

    state: State
    score: float  # 0..1
    J: float  # 0..1
    in_sight: bool


def judge(score: Score, masks: Sequence[Masks | None]) -> list[list[Judgement]]:
    """Of each object of a sequence, frame by frame; frames without masks are left out."""
    published = [{o.object_id: o for o in one.objects} if one else {} for one in masks]
    return [
        [
            Judgement(published[t][i].state, published[t][i].score, j, in_sight)
            for t, j, in_sight in zip(scored.frames, scored.J, scored.in_sight, strict=True)
            if i in published[t]
        ]
        for i, scored in score.objects.items()
    ]


def state_table(objects: Iterable[list[Judgement]]) -> dict[str, Any]:
    """What --json writes under "states"; shares in %, null where there was no such frame."""
    objects = list(objects)
    frames = [j for one in objects for j in one]
    found = [r for one in objects for r in reacquisitions(one)]
    table: dict[str, Any] = {}
    for state in ("tracked", "uncertain", "reacquired"):
        of_state = [j for j in frames if j.state == state]
        table[state] = {
            "frames": len(of_state),
            f"J_below_{DOUBTFUL_J}": _percent(j.J < DOUBTFUL_J for j in of_state),
            f"J_below_{WRONG_J}": _percent(j.J < WRONG_J for j in of_state),
        }
    lost = [j for j in frames if j.state == "lost"]
    table["lost"] = {"frames": len(lost), "in_sight": _percent(j.in_sight for j in lost)}
    table["reacquisitions"] = {
        "times": len(found),
        "wrong": _percent(j < WRONG_J for j, _ in found),
        "median_frames_in_sight_before": float(np.median([n for _, n in found])) if found else None,
    }
    table["score"] = [_reliability(frames, k) for k in range(SCORE_BINS)]
    return table


def reacquisitions(judgements: Sequence[Judgement]) -> Iterator[tuple[float, int]]:
    """Of each time that an object was found again: its J then, and the frames it had been in sight while lost."""
    waited, lost = 0, False
    for j in judgements:
        if j.state == "lost" or (lost and j.state == "uncertain"):  # of a part that comes out, too
            waited, lost = waited + j.in_sight, True
        else:
            if lost and j.state == "reacquired":
                yield j.J, waited
            waited, lost = 0, False


def state_lines(table: dict[str, Any]) -> list[str]:
    """The table as lines to print."""
    lines = ["states of all frames with truth:"]
    for state in ("tracked", "uncertain", "reacquired"):
        row = table[state]
        below = ", ".join(f"{_figure(row[f'J_below_{j}'])} with J below {j}" for j in (DOUBTFUL_J, WRONG_J))
        lines.append(f"  {state:<11}{row['frames']:>6} frames: {below}")
    lost, found = table["lost"], table["reacquisitions"]
    lines.append(f"  {'lost':<11}{lost['frames']:>6} frames: {_figure(lost['in_sight'])} with the object in sight")
    median = found["median_frames_in_sight_before"]
    wait = "" if median is None else f", after {median:.0f} frames in sight (median)"
    lines.append(
        f"  found again {found['times']} times: {_figure(found['wrong'])} of them wrong (J below {WRONG_J}){wait}"
    )
    return lines + [
        f"  score {row['from']:.1f} to {row['to']:.1f}: {row['frames']:>5} frames, mean J {row['J']:.0f}, "
        f"{_figure(row[f'J_below_{DOUBTFUL_J}'])} with J below {DOUBTFUL_J}"
        for row in table["score"]
        if row["frames"]
    ]


def _reliability(frames: Sequence[Judgement], k: int) -> dict[str, Any]:
    """One bin of `score`, of frames on which a mask was published as seen."""
    seen = [j for j in frames if j.state != "lost" and min(int(j.score * SCORE_BINS), SCORE_BINS - 1) == k]
    return {
        "from": k / SCORE_BINS,
        "to": (k + 1) / SCORE_BINS,
        "frames": len(seen),
        "J": 100 * float(np.mean([j.J for j in seen])) if seen else None,
        f"J_below_{DOUBTFUL_J}": _percent(j.J < DOUBTFUL_J for j in seen),
    }


def _percent(values: Iterable[bool]) -> float | None:
    values = list(values)
    return 100 * float(np.mean(values)) if values else None


def _figure(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.1f} %"
