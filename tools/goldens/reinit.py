"""`reinit*.json`: which windows the reference runs for objects whose masks have given areas, against our walk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stream.arrays import Array
from stream.errors import ConfigError
from stream.settings.options import Variant
from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Row
from tools.offline.reinit import Window, walk

VARIANTS: dict[str, Variant] = {
    "reinit-on-horizon-and-sync-masks": "A",
    "reinit-at-median-of-area-diff": "B",
    "reinit-on-similar-mask-area": "C",
    "reinit-on-similar-mask-area-and-sync-masks": "D",
}
Which = Literal["windows", "areas"]


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """How many traces of each variant differ, in their windows and in the areas that end up stored."""
    try:
        traces = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no JSON file of traces ({error}); copy it again") from None
    differing: dict[tuple[str, Which], list[str]] = {}
    for name, golden in traces.items():
        variant, horizon, tracker_horizon = _settings(path, name)
        windows, stored = _trace(golden, variant, horizon, tracker_horizon)
        same: dict[Which, bool] = {"windows": windows == golden["windows"], "areas": stored == golden["final_area"]}
        for which in same:
            differing.setdefault((variant, which), []).extend([] if same[which] else [name])
    return [
        Row(f"variant {variant}: {which}{'; differing: ' if names else ''}{', '.join(names)}", float(len(names)), 0.0)
        for (variant, which), names in sorted(differing.items())
    ]


def _settings(path: Path, name: str) -> tuple[Variant, int, int]:
    """Variant, horizon and the tracker's horizon of a trace."""
    parts = name.split("|")
    if len(parts) != 4 or parts[0] not in VARIANTS:
        raise ConfigError(f"{path}: {name!r} names no trace; needs VARIANT|hN|thN|SCENARIO of {', '.join(VARIANTS)}")
    return VARIANTS[parts[0]], int(parts[1].removeprefix("h")), int(parts[2].removeprefix("th"))


def _trace(golden: dict[str, Any], variant: Variant, horizon: int, tracker_horizon: int) -> tuple[list[Any], list[Any]]:
    """Our windows and stored areas, in the words of the file."""
    areas = np.array(golden["areas"])
    frames = areas.shape[1]
    windows: list[Any] = []
    stored: list[list[int | None]] = [[None] * frames for _ in areas]

    def segment(window: Window) -> Array:
        frames_left, objects = frames - window.start, list(window.objects)
        window_areas = areas[objects, window.start : window.start + horizon]
        for m, own in zip(objects, window_areas, strict=True):
            stored[m][window.start : window.start + len(own)] = own.tolist()
        windows.append(
            {
                "start": window.start,
                "frames_tracked": min(tracker_horizon, frames_left),
                "n_objects": len(objects),
                "frames_segmented": min(horizon, frames_left),
                "objects": objects,
            }
        )
        return window_areas

    walk(frames, golden["query_start"], horizon, variant, segment, lambda m, frame: None)
    return windows, stored
