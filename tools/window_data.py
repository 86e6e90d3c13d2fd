"""Drawn clips in, files of whole windows with their true masks out: what the window network of `lite` is fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nodes.decoder.lite.fusion import CueFusion, fuse_pixels
from nodes.decoder.lite.window_network import WindowNetwork
from stream.arrays import Array
from tools.clips.clip import Clip
from tools.roll_outs import draw_training_clip, roll_out, startable_objects

RESTART_FRAMES = (8, 21)  # least and most (excluded) frames between two true masks; longer roll-outs make masks worse
STORED_EVERY = 2  # frames: the next one shows nearly the same


@dataclass(frozen=True)
class WindowRef:
    """A stored window."""

    file: Path
    size: tuple[int, int]  # (h, w) working px

    @property
    def ratio(self) -> float:
        """Height over width."""
        return self.size[0] / self.size[1]


def store_windows(seed: int, driver: Path | None, folder: Path) -> list[WindowRef]:
    """The windows of a clip in files of a folder; an object is followed by `driver`, a network's file.

    Without one, the pixel network alone leads.
    """
    done = folder / f"{seed}.txt"  # a clip that was left half written is drawn again
    if not done.exists():
        fuse: CueFusion = fuse_pixels if driver is None else WindowNetwork(driver)
        sizes = []
        for n, planes in enumerate(follow_clip(draw_training_clip(seed), seed, fuse)):
            np.save(folder / f"{seed}-{n}.npy", planes)
            sizes.append(planes.shape[1:])
        done.write_text("".join(f"{h} {w}\n" for h, w in sizes))
    lines = done.read_text().splitlines()
    return [WindowRef(folder / f"{seed}-{n}.npy", _size_of(line)) for n, line in enumerate(lines)]


def _size_of(line: str) -> tuple[int, int]:
    h, w = line.split()
    return int(h), int(w)


def follow_clip(clip: Clip, seed: int, fuse: CueFusion) -> Iterator[Array]:
    """(CHANNELS + 1, h, w) float16: inputs and true share, of every other frame that an object is followed on."""
    for k in startable_objects(clip):
        for t, cues, truth in roll_out(clip, k, fuse, RESTART_FRAMES, np.random.default_rng([seed, k])):
            if (t + k) % STORED_EVERY == 0:
                yield np.concatenate([cues.planes, fuse_pixels(cues)[None], truth[None]]).astype(np.float16)


def read_window(ref: WindowRef) -> Array:
    """(CHANNELS + 1, h, w) float16: inputs and true share of a window."""
    return np.asarray(np.load(ref.file))
