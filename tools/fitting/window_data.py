"""Drawn clips in, files of whole windows with their true masks out: what the window network of `lite` is fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nodes.decoder.lite.fusion import CueFusion, fuse_pixels
from nodes.decoder.lite.window_network import WindowNetwork
from stream.arrays import Array
from tools.clips.clip import Clip, draw_clip
from tools.clips.layered_scene import Variety
from tools.fitting.roll_outs import SIZES, roll_out, startable_objects

RESTART_FRAMES = (8, 21)  # least and most (excluded) frames between two true masks; longer roll-outs make masks worse
STORED_EVERY = 3  # frames: the next ones show nearly the same


@dataclass(frozen=True)
class StoredClip:
    """A drawn clip in a file: frames and label images."""

    file: Path
    seed: int

    def read(self) -> Clip:
        """The clip, without its points."""
        with np.load(self.file) as parts:
            frames, labels = list(parts["frames"]), list(parts["labels"])
        return Clip(
            frames, labels, np.empty((len(frames), 0, 2), np.float32), np.empty((len(frames), 0), bool), np.empty(0)
        )


@dataclass(frozen=True)
class WindowRef:
    """A stored window."""

    file: Path
    size: tuple[int, int]  # (h, w) working px

    @property
    def ratio(self) -> float:
        """Height over width."""
        return self.size[0] / self.size[1]


def store_clip(seed: int, frames: int, variety: Variety, folder: Path) -> StoredClip:
    """Draw the clip of a seed into a file."""
    clip = draw_clip(seed, SIZES.get(seed % 16, (480, 854)), frames, variety)
    stored = StoredClip(folder / f"clip-{seed}.npz", seed)
    np.savez(stored.file, frames=np.stack(clip.frames), labels=np.stack(clip.labels))
    return stored


def store_windows(stored: StoredClip, driver: Path | None, seed: int, folder: Path) -> list[WindowRef]:
    """The windows of a clip in files of a folder; an object is followed by `driver`, a network's file.

    Without one, the pixel network alone leads.
    """
    fuse: CueFusion = fuse_pixels if driver is None else WindowNetwork(driver)
    refs = []
    for n, planes in enumerate(follow_clip(stored.read(), [stored.seed, seed], fuse)):
        refs.append(WindowRef(folder / f"{stored.seed}-{seed}-{n}.npy", (planes.shape[1], planes.shape[2])))
        np.save(refs[-1].file, planes)
    return refs


def follow_clip(clip: Clip, seed: list[int], fuse: CueFusion) -> Iterator[Array]:
    """(CHANNELS + 1, h, w) float16: inputs and true share, of every third frame that an object is followed on."""
    for k in startable_objects(clip):
        for t, cues, truth in roll_out(clip, k, fuse, RESTART_FRAMES, np.random.default_rng([*seed, k])):
            if (t + k) % STORED_EVERY == 0:
                yield np.concatenate([cues.planes, fuse_pixels(cues)[None], truth[None]]).astype(np.float16)


def read_window(ref: WindowRef) -> Array:
    """(CHANNELS + 1, h, w) float16: inputs and true share of a window."""
    return np.asarray(np.load(ref.file))
