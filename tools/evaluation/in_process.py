"""Frames and prompts in, masks out: the live graph's own tracker and decoder, shells and all, in this process.

The two nodes run as they are, each on a stand-in for its Runtime that calls the other directly: what one sends is with
the other before the next frame, as it is in a lossless graph, where the tracker waits for its seeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from nodes.decoder.node import main as decoder
from nodes.tracker.node import main as tracker
from stream.arrays import Array
from stream.messages import Command, Frame, Masks, Message, Prompt, Seeds, Stamp, Tracks
from stream.runtime import Runtime
from stream.settings.config import Config
from stream.settings.presets import load

FRAME_NS = 40_000_000  # between the stamps of two frames: 25 a second


class Cores:
    """Follows the objects of one sequence, losslessly, frame by frame."""

    def __init__(self, config: Config) -> None:
        self.spent_s = 0.0  # inside tracker and decoder
        self._count = 0
        self._tracker, self._decoder = RequestHandler(config), RequestHandler(config)
        tracker(cast(Runtime, self._tracker))
        decoder(cast(Runtime, self._decoder))

    def step(self, rgb: Array, prompts: Sequence[Prompt] = ()) -> list[Masks]:
        """The masks of one frame, (H, W, 3) uint8; with `tracker.emit: horizon`, of all since the last answer."""
        began = time.perf_counter()
        for prompt in prompts:
            self._tracker.take("commands", Command(kind="prompt", prompt=prompt))
        self._tracker.take("frames", stamped(rgb, self._count))
        self._count += 1
        masks = self._decode()
        self.spent_s += time.perf_counter() - began
        return masks

    def finish(self) -> list[Masks]:
        """The masks that still waited for the end of their horizon."""
        self._tracker.finish()
        return self._decode()

    def _decode(self) -> list[Masks]:
        """Bring what the tracker has sent to the decoder, and its seeds back."""
        masks = []
        for tracks in self._tracker.sent():
            self._decoder.take("tracks", tracks)
        for message in self._decoder.sent():
            if isinstance(message, Seeds):
                self._tracker.take("seeds", message)
            elif isinstance(message, Masks):
                masks.append(message)
        return masks


class Tracker:
    """The tracker alone, with a prompt for each object and none of the seeds that would draw its points anew."""

    def __init__(self, config: Config) -> None:
        self._count = 0
        self._desk = RequestHandler(config)
        tracker(cast(Runtime, self._desk))

    def step(self, rgb: Array, prompts: Sequence[Prompt] = ()) -> list[Tracks]:
        """The tracks of one frame, (H, W, 3) uint8; of earlier ones, where they had to wait."""
        for prompt in prompts:
            self._desk.take("commands", Command(kind="prompt", prompt=prompt))
        self._desk.take("frames", stamped(rgb, self._count))
        self._count += 1
        return cast(list[Tracks], self._desk.sent())

    def finish(self) -> list[Tracks]:
        """The tracks that still waited for the end of their horizon."""
        self._desk.finish()
        return cast(list[Tracks], self._desk.sent())


class RequestHandler:
    """What a node sees of its Runtime: config, beat, `send`; `serve` notes its handlers instead of looping."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.heartbeat = SimpleNamespace(frame_id=-1, numbers=dict)
        self.finish: Callable[[], None] = lambda: None
        self._handlers: Mapping[str, Callable[[Any], bool | None]] = {}
        self._sent: list[Message] = []

    def serve(
        self,
        handlers: Mapping[str, Callable[[Any], bool | None]],
        *,
        finish: Callable[[], None] = lambda: None,
        **_: Any,
    ) -> None:
        """Take messages from now on. When a node takes them is of no matter here: it is never behind."""
        self._handlers, self.finish = handlers, finish

    def take(self, topic: str, message: Message) -> None:
        """A message comes off a socket."""
        self._handlers[topic](message)

    def send(self, message: Message) -> None:
        """The node sends; it is delivered once the node's step is over."""
        self._sent.append(message)

    def sent(self) -> list[Message]:
        """What the node has sent since the last call."""
        sent, self._sent = self._sent, []
        return sent


def stamped(rgb: Array, index: int) -> Frame:
    """A frame of a feed of 25 a second."""
    rgb.flags.writeable = False  # as it is when it came off a socket
    at_ns = index * FRAME_NS
    stamp = Stamp(
        camera="evaluation", session=0, frame_id=index, captured_ns=at_ns, captured_unix_ns=at_ns, pts_s=at_ns / 1e9
    )
    return Frame(stamp=stamp, rgb=rgb)


def lossless(preset: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """The config of a preset, of a source that waits for its masks whatever the preset itself says."""
    return load(preset, {**(overrides or {}), "capture.source": "demo", "capture.realtime": False})
