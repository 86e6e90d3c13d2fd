"""`evaluate.py vis`: mask tracks and their truth in, AP and AR by COCO's rules out, with a track in place of a box.

UVO is scored without categories; AR100 is its headline. Areas are means over the frames that a track is in.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.arrays import Array
from stream.errors import ConfigError
from tools.evaluation.mask_tracks import Overlaps, Track, overlaps, read_results, read_truth
from tools.evaluation.pool import Tick, run_tasks

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # IoU above which a track is found
RECALLS = np.linspace(0, 1, 101)  # where precision is read
LIMITS = (1, 10, 100)  # tracks of a video that count, best scores first
EVERY = "all"
AREAS = {EVERY: (0, 1e10), "s": (0, 128**2), "m": (128**2, 256**2), "l": (256**2, 1e10)}  # px
NO_TRUTH = float("nan")  # of a category without truth


@dataclass(frozen=True)
class Match:
    """What became of the results of one video in one category, best scores first; D results, G true tracks."""

    scores: Array  # (D,)
    found: Array  # (T, D) bool: matched with a true track, by threshold
    ignored: Array  # (T, D) bool: counts neither as right nor as wrong
    truths: int  # true tracks that are not ignored


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What --json writes: percentages; null where there is no truth of such a size."""
    truth, results = read_truth(options.truth), read_results(options.results)
    videos = [v.id for v in truth.videos]
    unmatched = {t.video_id for t in results} - set(videos)
    if unmatched:
        raise ConfigError(f"--results: video {min(unmatched)} is not in the truth")
    if not options.by_category:
        truth_of, found_of = _split(truth.annotations, same=True), _split(results, same=True)
    else:
        truth_of, found_of = _split(truth.annotations), _split(results)
    categories = sorted({category for _, category in truth_of})
    keys = [(video, category) for category in categories for video in videos]
    pairs = [(_best(found_of.get(key, [])), truth_of.get(key, [])) for key in keys]
    overlapping = run_tasks(compare, pairs, [1] * len(pairs), jobs=options.jobs, title="vis")
    columns: dict[str, list[float]] = {}
    for category in categories:
        in_category = [i for i, (_, c) in enumerate(keys) if c == category]
        for name, value in summary([pairs[i] for i in in_category], [overlapping[i] for i in in_category]).items():
            columns.setdefault(name, []).append(value)
    return {"mean": {name: _mean(values) for name, values in columns.items()}}


def compare(pair: tuple[list[Track], list[Track]], tick: Tick) -> Overlaps:
    """The overlaps of one video."""
    between = overlaps(*pair)
    tick()
    return between


def summary(pairs: Sequence[tuple[list[Track], list[Track]]], between: Sequence[Overlaps]) -> dict[str, float]:
    """AP and AR, 0..1, of one category over all its videos: (results, best first; truth) and their overlaps."""
    row = {}
    matches = {
        area: [match(found, true, o, limits) for (found, true), o in zip(pairs, between, strict=True)]
        for area, limits in AREAS.items()
    }
    precision, _ = curve(matches[EVERY], LIMITS[-1])
    row["AP"], row["AP50"], row["AP75"] = precision.mean(), precision[0].mean(), precision[5].mean()
    for area in list(AREAS)[1:]:
        row[f"AP{area}"] = curve(matches[area], LIMITS[-1])[0].mean()
    for limit in LIMITS:
        row[f"AR{limit}"] = curve(matches[EVERY], limit)[1].mean()
    for area in list(AREAS)[1:]:
        row[f"AR{area}"] = curve(matches[area], LIMITS[-1])[1].mean()
    return {name: float(value) for name, value in row.items()}


def match(found: Sequence[Track], true: Sequence[Track], between: Overlaps, area: tuple[float, float]) -> Match:
    """Give each result, best score first, the true track that it overlaps most, at every threshold.

    A true track is taken once; a crowd, and a track of another size, is a way for a result to be ignored, taken only
    where nothing else fits.
    """
    crowd = np.array([t.iscrowd for t in true], bool)
    ignore = crowd | (between.true_areas < area[0]) | (between.true_areas > area[1])
    order = np.argsort(ignore, kind="stable")
    hit = np.zeros((len(THRESHOLDS), len(found)), bool)
    ignored = np.zeros_like(hit)
    for t, threshold in enumerate(THRESHOLDS):
        taken = np.zeros(len(true), bool)
        for d in range(len(found)):
            best, chosen = min(threshold, 1 - 1e-10), -1
            for g in order:
                if taken[g] and not crowd[g]:
                    continue
                if chosen >= 0 and not ignore[chosen] and ignore[g]:
                    break
                if between.iou[d, g] >= best:
                    best, chosen = between.iou[d, g], g
            if chosen >= 0:
                hit[t, d], ignored[t, d], taken[chosen] = True, ignore[chosen], True
    outside = (between.found_areas < area[0]) | (between.found_areas > area[1])
    return Match(np.array([f.score for f in found]), hit, ignored | (~hit & outside[None]), int((~ignore).sum()))


def curve(matches: Sequence[Match], limit: int) -> tuple[Array, Array]:
    """(T, 101) precision at each of RECALLS, and (T,) the largest recall; NaN where there is no truth."""
    truths = sum(m.truths for m in matches)
    if truths == 0:
        return np.full((len(THRESHOLDS), len(RECALLS)), NO_TRUTH), np.full(len(THRESHOLDS), NO_TRUTH)
    order = np.argsort(-np.concatenate([m.scores[:limit] for m in matches]), kind="stable")
    found = np.concatenate([m.found[:, :limit] for m in matches], axis=1)[:, order]
    ignored = np.concatenate([m.ignored[:, :limit] for m in matches], axis=1)[:, order]
    right, wrong = np.cumsum(found & ~ignored, axis=1), np.cumsum(~found & ~ignored, axis=1)
    precision, recall = np.zeros((len(THRESHOLDS), len(RECALLS))), np.zeros(len(THRESHOLDS))
    for t in range(len(THRESHOLDS) if len(order) else 0):
        reached = right[t] / truths
        exact = right[t] / np.maximum(right[t] + wrong[t], np.spacing(1))
        best_later = np.maximum.accumulate(exact[::-1])[::-1]
        at = np.searchsorted(reached, RECALLS, side="left")
        precision[t] = np.append(best_later, 0)[at]
        recall[t] = reached[-1]
    return precision, recall


def _split(tracks: Sequence[Track], *, same: bool = False) -> dict[tuple[int, int], list[Track]]:
    """Tracks by video and category; `same`: all are of one category."""
    split: dict[tuple[int, int], list[Track]] = {}
    for track in tracks:
        split.setdefault((track.video_id, 1 if same else track.category_id), []).append(track)
    return split


def _best(found: list[Track]) -> list[Track]:
    return sorted(found, key=lambda t: -t.score)[: LIMITS[-1]]


def _mean(values: Sequence[float]) -> float | None:
    """In percent, over the categories that have truth."""
    defined = [v for v in values if not np.isnan(v)]
    return 100 * float(np.mean(defined)) if defined else None
