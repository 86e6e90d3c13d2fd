"""Drawn clips in, files of whole windows with their true masks out: what the window network of `lite` is fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from nodes.decoder.lite.fusion import CueFusion, fuse_pixels
from nodes.decoder.lite.window_network import WindowNetwork, shrink_planes
from stream.arrays import Array
from tools.clips.clip import Clip
from tools.roll_outs import draw_training_clip, roll_out, startable_objects

RESTART_FRAMES = (8, 21)  # least and most (excluded) frames between two true masks; longer roll-outs make masks worse
STORED_EVERY = 2  # frames: the next one shows nearly the same

Window = tuple[list[Array], Array]  # inputs and true share, (h, w) each
WindowRef = tuple[Path, int]  # a file and the number of a window in it


def store_windows(seed: int, driver: Path | None, folder: Path) -> list[WindowRef]:
    """The windows of a clip in a file of a folder; an object is followed by `driver`, a network's file.

    Without one, the pixel network alone leads.
    """
    file = folder / f"{seed}.npz"
    if not file.exists():
        fuse: CueFusion = fuse_pixels if driver is None else WindowNetwork(driver)
        _write(file, follow_clip(draw_training_clip(seed), seed, fuse))
    return refs_of(file)


def _write(file: Path, windows: Iterator[Window]) -> None:
    arrays: dict[str, Array] = {}
    for n, (planes, truth) in enumerate(windows):
        arrays[f"x{n}"] = shrink_planes(planes).astype(np.float16)
        arrays[f"y{n}"] = shrink_planes([truth])[0].astype(np.float16)
    part = file.with_suffix(".part.npz")  # a file that was left half written is written again
    np.savez(part, **arrays)  # type: ignore[arg-type]  # its stub takes any name for `allow_pickle`
    part.rename(file)


def refs_of(file: Path) -> list[WindowRef]:
    """Every window of a file."""
    with np.load(file) as stored:
        return [(file, n) for n in range(len(stored.files) // 2)]


def follow_clip(clip: Clip, seed: int, fuse: CueFusion) -> Iterator[Window]:
    """Windows of every other frame that an object is followed on."""
    for k in startable_objects(clip):
        for t, cues, truth in roll_out(clip, k, fuse, RESTART_FRAMES, np.random.default_rng([seed, k])):
            if (t + k) % STORED_EVERY == 0:
                yield [*cues.planes, fuse_pixels(cues), *cv2.split(cues.view.lab)], truth


def read_window(ref: WindowRef) -> tuple[Array, Array]:
    """(CHANNELS, h, w) float32 inputs, (h, w) float32 truth of a window, shrunk."""
    file, n = ref
    arrays = _read_file(file)
    return arrays[f"x{n}"].astype(np.float32), arrays[f"y{n}"].astype(np.float32)


def read_ratio(ref: WindowRef) -> float:
    """Width over height of a window."""
    h, w = _read_file(ref[0])[f"y{ref[1]}"].shape
    return float(w / h)


@cache
def _read_file(file: Path) -> dict[str, Array]:
    """All windows of a file; a quarter of a MB each."""
    with np.load(file) as stored:
        return dict(stored.items())
