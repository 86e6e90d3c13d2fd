"""Small data sets on disk for the tests of tools/evaluate.py: the demo scene, a few frames of it, with its truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nodes.capture.scene import DemoScene
from nodes.renderer.sinks import label_png
from stream.arrays import Array
from tools import evaluate

SIZE = (108, 192)
FRAMES = 12


def draw_sequence(
    frames: Path, annotations: Path, name: str, ids: Sequence[int] = (1, 3), annotated: Iterable[int] = range(FRAMES)
) -> list[Array]:
    """Write a sequence; the label images of all frames, with only `ids` of the scene's objects, come back."""
    scene = DemoScene(SIZE, frames=FRAMES)
    (frames / name).mkdir(parents=True)
    (annotations / name).mkdir(parents=True)
    labels = []
    for i in range(FRAMES):
        rgb, truth = scene.draw(i)
        assert cv2.imwrite(str(frames / name / f"{i:05d}.jpg"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        labels.append(np.where(np.isin(truth, ids), truth, 0).astype(np.uint8))
        if i in annotated:
            write_labels(annotations / name / f"{i:05d}.png", labels[-1])
    return labels


def davis_set(root: Path, *names: str, ids: Sequence[int] = (1, 3)) -> list[Array]:
    """A data set in the layout of DAVIS."""
    for name in names:
        labels = draw_sequence(root / "JPEGImages" / "480p", root / "Annotations" / "480p", name, ids)
    return labels


def write_labels(path: Path, labels: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(label_png(labels))


def write_results(folder: Path, name: str, labels: Sequence[Array]) -> Path:
    for i, image in enumerate(labels):
        write_labels(folder / name / f"{i:05d}.png", image)
    return folder


def evaluated(folder: Path, *arguments: object) -> dict[str, Any]:
    """What --json wrote of a run that worked."""
    out = folder / "out.json"
    assert evaluate.main([*map(str, arguments), "--json", str(out)]) == 0
    report: dict[str, Any] = json.loads(out.read_text())
    return report
