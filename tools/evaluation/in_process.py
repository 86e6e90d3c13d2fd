"""Frames and prompts in, masks out: the tracker's and the decoder's own stages, side by side in this process.

    rgb, prompts -> TrackerStage -> Tracks, ReinitRequest -> DecoderStage -> Masks
                         ^------------------ Seeds ---------------'

Each stage runs on an `InMemoryNode`. What one sends is with the other before the next frame, as it is in a lossless
graph, where the tracker waits for its seeds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from nodes.capture.pace import FALLBACK_FPS
from nodes.decoder.node import make_stage as make_decoder
from nodes.tracker.node import make_stage as make_tracker
from stream.arrays import Array
from stream.commands import GivePrompt, Start, StartTracker
from stream.in_memory import InMemoryNode
from stream.messages import Frame, Masks, Message, Prompt, Seeds, Stamp
from stream.settings.config import Config
from stream.settings.presets import load

FRAME_NS = round(1e9 / FALLBACK_FPS)  # between the stamps of two frames


class InProcessTracker:
    """The tracker alone: without a decoder no Seeds come, so that no points are drawn anew."""

    def __init__(self, config: Config) -> None:
        self._frames = 0
        self._node = InMemoryNode()
        self._stage = make_tracker(config, self._node)
        self._node.start(self._stage, StartTracker())

    def step(self, rgb: Array, prompts: Sequence[Prompt] = ()) -> list[Message]:
        """What the tracker sends for one frame, (H, W, 3) uint8, and for earlier ones that had to wait."""
        self._node.start(self._stage, *(GivePrompt(prompt=prompt) for prompt in prompts))
        self._node.give(self._stage, stamped(rgb, self._frames))
        self._frames += 1
        return self._node.take(Message)

    def reseed(self, seeds: Seeds) -> list[Message]:
        """What it sends once it has the decoder's masks: usually nothing before the next frame."""
        self._node.give(self._stage, seeds)
        return self._node.take(Message)

    def finish(self) -> list[Message]:
        """What still waited for the end of its horizon."""
        self._stage.finish()
        return self._node.take(Message)


class InProcessGraph:
    """Tracker and decoder: follows the objects of one sequence, losslessly, frame by frame."""

    def __init__(self, config: Config) -> None:
        self.spent_s = 0.0  # inside tracker and decoder
        self._tracker = InProcessTracker(config)
        self._node = InMemoryNode()
        self._decoder = make_decoder(config, self._node)
        self._node.start(self._decoder, Start())

    def step(self, rgb: Array, prompts: Sequence[Prompt] = ()) -> list[Masks]:
        """The masks of one frame, (H, W, 3) uint8; with `tracker.emit: horizon`, of all since the last answer."""
        began_s = time.perf_counter()
        masks = self._decode(self._tracker.step(rgb, prompts))
        self.spent_s += time.perf_counter() - began_s
        return masks

    def finish(self) -> list[Masks]:
        """The masks that still waited for the end of their horizon."""
        return self._decode(self._tracker.finish())

    def _decode(self, tracked: list[Message]) -> list[Masks]:
        """Give the decoder what the tracker has sent, and the tracker the decoder's Seeds, until both are at rest."""
        masks = []
        while tracked:
            for message in tracked:
                self._node.give(self._decoder, message)
            tracked = []
            for message in self._node.take(Message):
                if isinstance(message, Seeds):
                    tracked += self._tracker.reseed(message)
                elif isinstance(message, Masks):
                    masks.append(message)
        return masks


def stamped(rgb: Array, index: int) -> Frame:
    """A frame of a feed that names no rate of its own."""
    rgb.flags.writeable = False  # as it is when it came off a socket
    at_ns = index * FRAME_NS
    stamp = Stamp(
        camera="evaluation", session=0, frame_id=index, captured_ns=at_ns, captured_unix_ns=at_ns, pts_s=at_ns / 1e9
    )
    return Frame(stamp=stamp, rgb=rgb)


def lossless(preset: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """The config of a preset, of a source that waits for its masks whatever the preset itself says."""
    return load(preset, {**(overrides or {}), "capture.source": "demo", "capture.realtime": False})
