"""Scores and masks in, one self-contained HTML page out: charts of J and F over time, the worst and best moments."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from stream.arrays import Array
from tools.evaluation.film import Moment, strips
from tools.evaluation.layout import VideoSequence
from tools.evaluation.scoring import COLUMNS, Score

STYLE = """
:root{color-scheme:light dark;--paper:#fbfbf9;--card:#fff;--ink:#1c1c1a;--soft:#6b6a63;--line:#e3e2dc;--j:#2459c9;
--f:#b8480f;--bad:#b3261e;--good:#1f7a3d}
@media(prefers-color-scheme:dark){:root{--paper:#141413;--card:#1e1e1c;--ink:#eceae4;--soft:#9d9b92;--line:#34332f;
--j:#7aa7ff;--f:#ff9d5c;--bad:#ff8a80;--good:#7fd39a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1.2rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;margin:0}p{color:var(--soft);margin:.4rem 0}
a{color:inherit}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem;margin:1rem 0}
header{display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline}
.figures{color:var(--soft)}.j{color:var(--j)}.f{color:var(--f)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}tfoot td{font-weight:600;border:0}
td.bar{width:30%;min-width:7rem;padding-right:0}.bar i{display:block;height:.3rem;border-radius:.15rem;margin:.14rem 0}
i.j{background:var(--j)}i.f{background:var(--f)}
.chart{display:grid;grid-template-columns:2.2rem 1fr;margin:.6rem 0 .2rem;font-size:.75rem;color:var(--soft)}
.y{display:flex;flex-direction:column;justify-content:space-between;text-align:right;padding-right:.4rem;
margin:-.6rem 0}
.x{grid-column:2;display:flex;justify-content:space-between}
svg{width:100%;height:10rem;display:block;overflow:visible}
svg *{vector-effect:non-scaling-stroke;fill:none}
.grid{stroke:var(--line)}.lj{stroke:var(--j);stroke-width:2}.lf{stroke:var(--f);stroke-width:2}
.mark{stroke:var(--bad);stroke-dasharray:2 3}
h3{font-size:.85rem;margin:.8rem 0 .3rem;color:var(--soft);font-weight:600}
.strip{display:grid;grid-template-columns:repeat(4,1fr);gap:.5rem}
@media(max-width:40rem){.strip{grid-template-columns:repeat(2,1fr)}body{padding:.6rem}}
figure{margin:0}img{width:100%;display:block;border-radius:.3rem}
figcaption{font-size:.75rem;color:var(--soft)}
"""
WORDS = (
    "J: region similarity, F: contour accuracy, 0 to 100. In the pictures the mask is the tint, the truth the white "
    "line. Dotted lines in a chart are its worst moments."
)


@dataclass(frozen=True)
class Chapter:
    """One sequence of the page."""

    sequence: VideoSequence
    score: Score
    labels: Callable[[int], Array]  # frame index -> the (H, W) label image that was scored


def write_page(path: Path, title: str, report: dict[str, Any], chapters: Sequence[Chapter]) -> None:
    """Write the page; `report` is what --json writes."""
    scored = [c for c in chapters if c.score.rows()]
    scored.sort(key=lambda c: report["sequences"][c.score.name]["J&F"])  # where there is most to win comes first
    facts = f"{len(chapters)} sequences"
    if report["ms_per_frame"]:
        facts += f", {report['ms_per_frame']:.1f} ms a frame in tracker and decoder"
    if "latency_ms" in report:
        late, frames = report["latency_ms"], report["frames"]
        facts += f", latency p50 {late['p50']:.0f} ms, p95 {late['p95']:.0f} ms, "
        facts += f"{frames['shown'] - frames['received']} of {frames['shown']} frames passed over"
    body = [
        _overview(report, [c.score.name for c in scored]) if scored else "<p>There was no truth to score with.</p>",
        *(_chapter(c, report["sequences"][c.score.name]) for c in scored),
    ]
    write_document(path, title, f"{facts}. {WORDS}", body)


def write_document(path: Path, title: str, facts: str, body: Sequence[str]) -> None:
    """Write a page of its title, a line of facts (text) and parts (HTML)."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    page = f"<!doctype html><html lang=en><head>{head}<title>{escape(title)}</title><style>{STYLE}</style></head>"
    top = f"<h1>{escape(title)}</h1><p>{escape(facts)}</p>"
    path.write_text(f"{page}<body>{top}{''.join(body)}</body></html>\n", encoding="utf-8")


def _overview(report: dict[str, Any], names: Sequence[str]) -> str:
    """The table of all sequences, worst first."""
    heads = "".join(f"<th>{escape(c.replace('_', ' '))}</th>" for c in COLUMNS)
    rows = "".join(_row(f'<a href="#{escape(n)}">{escape(n)}</a>', report["sequences"][n], "td") for n in names)
    return (
        f"<section class=scroll><table><thead><tr><th>sequence</th><th class=bar></th>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody><tfoot>{_row('mean', report['mean'], 'td')}</tfoot></table></section>"
    )


def _row(name: str, row: dict[str, float], cell: str) -> str:
    bars = "".join(f'<i class={m.lower()} style="width:{max(row[m], 0):.1f}%"></i>' for m in "JF")
    cells = "".join(f"<{cell}>{row[c]:.1f}</{cell}>" for c in COLUMNS)
    return f"<tr><td>{name}</td><td class=bar>{bars}</td>{cells}</tr>"


def _chapter(chapter: Chapter, row: dict[str, float]) -> str:
    worst, best = strips(chapter.sequence, chapter.score, chapter.labels)
    name = escape(chapter.score.name)
    figures = f"<b class=j>J {row['J']:.1f}</b> <b class=f>F {row['F']:.1f}</b>"
    return (
        f'<section id="{name}"><header><h2>{name}</h2><span class=figures>{figures} '
        f"J decay {row['J_decay']:.1f}, {len(chapter.score.rows())} objects</span></header>"
        f"{chart(chapter.score, [m.frame for m in worst])}"
        f"{_strip('Worst moments', worst)}{_strip('Best moments', best)}</section>"
    ).replace("1 objects", "1 object")


def chart(score: Score, marks: Sequence[int]) -> str:
    """J and F over time."""
    frames, j = score.curve("J")
    return curves(frames, {"lf": score.curve("F")[1], "lj": j}, marks, f"J and F of {score.name} over time")


def curves(frames: Sequence[int], lines: Mapping[str, Sequence[float]], marks: Sequence[int], what: str) -> str:
    """Lines (class -> values 0..1) as an SVG that fills its column; labels are HTML, so that they keep their size."""
    span = max(frames[-1] - frames[0], 1)

    def line(values: Sequence[float], kind: str) -> str:
        points = " ".join(
            f"{1000 * (t - frames[0]) / span:.1f},{100 - 100 * v:.1f}" for t, v in zip(frames, values, strict=True)
        )
        return f'<polyline class={kind} points="{points}"/>'

    grid = "".join(f'<path class=grid d="M0 {y}H1000"/>' for y in (0, 25, 50, 75, 100))
    dots = "".join(f'<path class=mark d="M{1000 * (t - frames[0]) / span:.1f} 0V100"/>' for t in marks)
    drawn = "".join(line(values, kind) for kind, values in lines.items())
    return (
        "<div class=chart><div class=y><span>100</span><span>50</span><span>0</span></div>"
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role=img aria-label="{escape(what)}">'
        f"{grid}{dots}{drawn}</svg>"
        f"<div class=x><span>frame {frames[0]}</span><span>frame {frames[-1]}</span></div></div>"
    )


def _strip(heading: str, moments: Sequence[Moment]) -> str:
    return film(heading, [(m.frame, f"frame {m.frame}, J {100 * m.J:.0f}, F {100 * m.F:.0f}", m.jpeg) for m in moments])


def film(heading: str, pictures: Sequence[tuple[int, str, bytes]]) -> str:
    """A film strip: of each picture its frame, caption and JPEG."""
    figures = "".join(
        f'<figure><img loading=lazy alt="frame {frame}" src="data:image/jpeg;base64,{b64encode(jpeg).decode()}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for frame, caption, jpeg in pictures
    )
    return f"<h3>{heading}</h3><div class=strip>{figures}</div>"
