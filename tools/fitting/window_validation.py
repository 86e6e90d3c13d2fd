"""Fitted window networks in, how well each follows drawn clips that no network was fitted to out.

The clips have surfaces of kinds that no clip to fit to has, since real ones are unlike drawn ones, too: what is too
sure of itself there shows here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nodes.decoder.lite.fusion import fuse_pixels
from nodes.decoder.lite.window_network import WindowNetwork
from tools.fitting.roll_outs import follow_to_end, startable_objects
from tools.fitting.window_data import StoredClip

SHARES = (0.6, 0.8, 1.0)  # of what a network adds, to choose from
WRONG_IOU = 0.3  # below it, another thing is followed


@dataclass(frozen=True)
class Figures:
    """Of some clips, in %."""

    J: float
    decay: float  # of J, from the first quarter of a clip to the last
    wrong: float  # share of frames

    def __str__(self) -> str:
        return f"J {self.J:.1f}, decay {self.decay:.1f}, wrong {self.wrong:.1f} %"

    @classmethod
    def of_clips(cls, curves: Sequence[Sequence[float]]) -> Figures:
        """The mean over clips whose IoU (0..1) is given frame by frame; not empty."""
        quarters = [[np.mean(q) for q in np.array_split(np.array(c), 4)] for c in curves]
        every = np.concatenate([np.asarray(c) for c in curves])
        decay = np.mean([q[0] - q[-1] for q in quarters])
        return cls(
            100 * float(np.mean([np.mean(c) for c in curves])),
            100 * float(decay),
            100 * float((every < WRONG_IOU).mean()),
        )


def judge_on_clip(stored: StoredClip, network: Path | None, shares: Sequence[float]) -> list[list[float]]:
    """The IoU, frame by frame, of the first object of a clip, by each share of a network; by the pixel network alone
    where there is none. The list is empty where there is nothing to follow.
    """
    clip = stored.read()
    labels = startable_objects(clip)
    if not labels:
        return []
    ways = [WindowNetwork(network, share) for share in shares] if network else [fuse_pixels]
    return [follow_to_end(clip, labels[0], fuse) for fuse in ways]
