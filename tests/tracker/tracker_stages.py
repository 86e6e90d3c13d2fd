"""A tracker stage on a node without sockets, and the frames and commands that it gets."""

from __future__ import annotations

import numpy as np

from nodes.tracker.node import make_stage
from stream.commands import GivePrompt, StartTracker
from stream.in_memory import InMemoryNode
from stream.messages import Frame, Prompt, Seed, Seeds, Stamp
from stream.node import Stage
from stream.settings.presets import load

SIZE = (72, 96)
PERIOD_NS = 40_000_000
LIVE = {"capture.realtime": True}


def started(*, discover: bool = False, newest: int = -1, **overrides) -> tuple[Stage, InMemoryNode]:
    """The tracker of the lite preset after its start command; lossless unless `capture.realtime` is set."""
    node = InMemoryNode()
    stage = make_stage(load("lite", overrides), node)
    node.start(stage, StartTracker(newest_frame_id=newest, discover=discover))
    return stage, node


def noise(i: int) -> Frame:
    """The same noise on every frame."""
    stamp = Stamp(camera="c", session=0, frame_id=i, captured_ns=i * PERIOD_NS, captured_unix_ns=i * PERIOD_NS)
    return Frame(stamp=stamp, rgb=np.random.default_rng(1).integers(0, 255, (*SIZE, 3), dtype=np.uint8))


def masked(object_id: int = 1) -> GivePrompt:
    """An object given by its mask."""
    mask = np.zeros(SIZE, np.uint8)
    mask[20:50, 20:60] = 1
    return GivePrompt(prompt=Prompt(object_id=object_id, mask=mask))


def clicked(object_id: int = 1, kind: str = "add") -> GivePrompt:
    """An object given by two points."""
    xy = np.array([[30, 30], [50, 40]], np.float32)
    return GivePrompt(prompt=Prompt(object_id=object_id, kind=kind, xy=xy, labels=np.ones(2, np.uint8)))


def seeds(i: int, *object_ids: int) -> Seeds:
    """The decoder's masks of a frame."""
    mask = np.ones((20, 30), np.uint8)
    objects = tuple(Seed(object_id=o, bbox=(25, 25, 30, 20), mask=mask) for o in object_ids)
    return Seeds(frame_id=i, epoch=0, size=SIZE, objects=objects)
