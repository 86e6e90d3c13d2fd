"""Scored trajectories in, one self-contained HTML page out: accuracy over time, the worst and best moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np

from stream.arrays import Array
from tools.evaluation.film import JPEG_QUALITY, choose
from tools.evaluation.page import curves, film, write_document
from tools.evaluation.point_measures import NEAR_PX, Trajectories

WIDTH_PX = 480
RING, TRACKED, FALSE = (255, 255, 255), (36, 145, 255), (230, 40, 30)  # RGB
WORDS = (
    f"Blue curve: share of the truly visible points met within {NEAR_PX} px; orange: share of all points whose "
    "visibility is right. In the pictures a ring is where a visible point is, a blue dot where it was tracked to, "
    "a red dot a point that is called visible and is not. Dotted lines in a chart are its worst moments."
)


@dataclass(frozen=True)
class Still:
    """One frame of a film strip."""

    frame: int
    near: float  # 0..1
    jpeg: bytes


@dataclass(frozen=True)
class Chapter:
    """One clip of the page; values 0..1, one a frame."""

    name: str
    frames: list[int]
    near: list[float]  # share of the visible points met within NEAR_PX
    right: list[float]  # share of the points whose visibility is right
    worst: list[Still]
    best: list[Still]


def chapter_of(name: str, pictures: Array, trajectories: Trajectories) -> Chapter:
    """The chapter of a clip, its frames (T, H, W, 3) uint8."""
    frames, near, right = trajectories.curves()
    at = dict(zip(frames, near, strict=True))
    worst = choose(frames, [-at[t] for t in frames])
    rest = [t for t in frames if t not in worst]
    best = choose(rest, [at[t] for t in rest])

    def stills(chosen: Sequence[int]) -> list[Still]:
        return [Still(t, at[t], _still(pictures[t], trajectories, t)) for t in chosen]

    return Chapter(name, frames, near, right, stills(worst), stills(best))


def write_page(
    path: Path, title: str, rows: Mapping[str, Mapping[str, float]], mean: Mapping[str, float], chapters: list[Chapter]
) -> None:
    """Write the page: a table of all clips, then a section for each, worst first."""
    names = sorted(rows, key=lambda name: rows[name]["delta"])
    heads = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in mean)

    def line(name: str, row: Mapping[str, float]) -> str:
        return f"<tr><td>{name}</td>" + "".join(f"<td>{value:.1f}</td>" for value in row.values()) + "</tr>"

    body = "".join(line(f'<a href="#{escape(n)}">{escape(n)}</a>', rows[n]) for n in names)
    table = (
        f"<section class=scroll><table><thead><tr><th>clip</th>{heads}</tr></thead><tbody>{body}</tbody>"
        f"<tfoot>{line('mean', mean)}</tfoot></table></section>"
    )
    by_name = {c.name: c for c in chapters}
    write_document(path, title, WORDS, [table, *(_section(by_name[n], rows[n]) for n in names)])


def _section(chapter: Chapter, row: Mapping[str, float]) -> str:
    name = escape(chapter.name)
    figures = f"<b class=j>within {NEAR_PX} px {row[f'delta_{NEAR_PX}']:.1f}</b> <b class=f>OA {row['OA']:.1f}</b>"
    lines = {"lf": chapter.right, "lj": chapter.near}
    what = f"position and occlusion accuracy of {chapter.name} over time"
    drawn = curves(chapter.frames, lines, [s.frame for s in chapter.worst], what) if chapter.frames else ""
    strips = "".join(
        film(heading, [(s.frame, f"frame {s.frame}, {100 * s.near:.0f} % met", s.jpeg) for s in stills])
        for heading, stills in (("Worst moments", chapter.worst), ("Best moments", chapter.best))
    )
    return (
        f'<section id="{name}"><header><h2>{name}</h2><span class=figures>{figures}</span></header>'
        f"{drawn}{strips}</section>"
    )


def _still(rgb: Array, trajectories: Trajectories, frame: int) -> bytes:
    """A JPEG of one frame, with its points that count there."""
    scale = WIDTH_PX / rgb.shape[1]
    picture = cv2.resize(rgb, (WIDTH_PX, round(rgb.shape[0] * scale)), interpolation=cv2.INTER_AREA)

    def place(xy: Array) -> tuple[int, int]:
        x, y = np.rint(np.clip(xy * scale, -2000, 2000) * 16).astype(int)
        return int(x), int(y)

    for i in np.flatnonzero(trajectories.counts[frame]):
        true, tracked = place(trajectories.true_xy[frame, i]), place(trajectories.xy[frame, i])
        visible, claimed = bool(trajectories.true_visible[frame, i]), bool(trajectories.visible[frame, i])
        if visible and claimed:
            cv2.line(picture, true, tracked, RING, 1, cv2.LINE_AA, 4)
        if visible:
            cv2.circle(picture, true, 3 * 16, RING, 1, cv2.LINE_AA, 4)
        if claimed:
            cv2.circle(picture, tracked, 2 * 16, TRACKED if visible else FALSE, -1, cv2.LINE_AA, 4)
    ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert ok
    return jpeg.tobytes()
