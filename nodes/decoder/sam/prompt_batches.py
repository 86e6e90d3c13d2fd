"""Prompts of objects in, batches of them out: so many objects at a time, of one frame or of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from nodes.decoder.sam.protocol import LOW_RES, PADDING, SamPrompts


def split(prompts: SamPrompts, size: int) -> Iterator[SamPrompts]:
    """The prompts of so many objects at a time, without points that are padding to all of them."""
    for start in range(0, len(prompts.labels), size):
        part = slice(start, start + size)
        has, used = prompts.has_low_res[part], (prompts.labels[part] != PADDING).any(axis=0)
        low_res = prompts.low_res[part] if prompts.low_res is not None and has.any() else None
        xy, labels = prompts.xy[part][:, used], prompts.labels[part][:, used]
        yield SamPrompts(xy, labels, prompts.boxes[part], low_res, has, prompts.multimask)


def join(parts: Sequence[SamPrompts]) -> SamPrompts:
    """The prompts of several frames as one batch, padded to the longest list of points."""
    if len(parts) == 1:
        return parts[0]
    longest = max(part.labels.shape[1] for part in parts)
    widths = [longest - part.labels.shape[1] for part in parts]
    low_res = None
    if any(part.low_res is not None for part in parts):
        like = next(part.low_res for part in parts if part.low_res is not None)
        low_res = torch.cat(
            [
                like.new_zeros(len(part.labels), LOW_RES, LOW_RES) if part.low_res is None else part.low_res
                for part in parts
            ]
        )
    return SamPrompts(
        np.concatenate([np.pad(p.xy, ((0, 0), (0, w), (0, 0))) for p, w in zip(parts, widths, strict=True)]),
        np.concatenate(
            [np.pad(p.labels, ((0, 0), (0, w)), constant_values=PADDING) for p, w in zip(parts, widths, strict=True)]
        ),
        np.concatenate([part.boxes for part in parts]),
        low_res,
        np.concatenate([part.has_low_res for part in parts]),
        parts[0].multimask,
    )


def runs_of(sizes: Sequence[int], at_once: int) -> Iterator[list[int]]:
    """The indices of pieces that go together: so many objects at once at most."""
    run: list[int] = []
    for k, size in enumerate(sizes):
        if run and sum(sizes[i] for i in run) + size > at_once:
            yield run
            run = []
        run.append(k)
    if run:
        yield run
