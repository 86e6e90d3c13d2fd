"""The walk of re-initialisation over a finished clip: which objects are tracked from which frame (paper, table 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from nodes.decoder.reinit import choose
from stream.arrays import Array
from stream.settings.options import Variant

DONE = -1


@dataclass(frozen=True)
class Window:
    """One run of the tracker: from a frame on, for the objects whose points were drawn there."""

    start: int
    objects: tuple[int, ...]


def walk(
    frames: int,
    query_frames: Sequence[int],
    horizon: int,
    variant: Variant,
    segment: Callable[[Window], Array],
    draw: Callable[[int, int], None],
) -> list[Window]:
    """The windows in their order.

    `segment(window)` tracks and segments its objects over at most `horizon` frames and answers with the areas of their
    masks, (objects, frames); `draw(object, frame)` draws the points of an object anew from its mask on that frame.
    """
    starts = list(query_frames)
    windows: list[Window] = []
    for f in range(frames):
        group = tuple(o for o, start in enumerate(starts) if start == f)
        if not group:
            continue
        windows.append(Window(f, group))
        areas = segment(windows[-1])
        if f + horizon >= frames:
            for o in group:
                starts[o] = DONE
            continue
        later = [start - f for start in starts if start > f]
        chosen = choose(variant, areas[:, 1:], areas[:, 0], min(later, default=None), _torch_median)
        for o, k in zip(group, chosen, strict=True):
            starts[o] = f + 1 + int(k)
            draw(o, starts[o])
    return windows


def _torch_median(row: Array) -> int:
    """The index that torch gives: among equal areas, and where all are missing, only its own sort tells which."""
    return int(torch.from_numpy(row.astype("float32")).nanmedian(dim=0).indices)
