"""One window of PIPS at a time, timed: as the product's tracker runs it, and as its authors compute it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch

from nodes.capture.scene import DemoScene
from nodes.tracker.pips import correlation
from nodes.tracker.pips import network as pips_network
from nodes.tracker.pips.backend import PipsModel
from nodes.tracker.pips.network import Pips, S
from nodes.tracker.point_model import PointModel
from nodes.tracker.tracking import PointTracker
from stream.arrays import Array
from stream.crops import crop_mask
from stream.geometry import Size
from stream.messages import Frame, Prompt, PromptOnFrame, Seed, Seeds, Stamp
from stream.settings.options import Emit, TrackerOptions
from tools.bench.pips.plain import plain_features, plain_maps, plain_window
from tools.paper_settings import NEGATIVES

NEW = S - 1  # frames that a window adds


@dataclass
class Cost:
    """Time by the wall clock, and of the cores: where others are at work, only the latter says much."""

    seconds: float = 0.0
    cpu_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu_s + other.cpu_s)


@dataclass
class Spent:
    """On the new frames of one window."""

    cost: Cost = field(default_factory=Cost)
    parts: dict[str, float] = field(default_factory=lambda: {"encoder": 0.0, "correlation": 0.0, "mixer": 0.0})  # s
    encoded: int = 0  # frames that went through the encoder


class LiveTracker:
    """The product's tracker on the demo scene, with a decoder that always answers at once, and with the same masks."""

    def __init__(self, model: PointModel, size: Size, objects: int, positives: int, emit: Emit) -> None:
        self.scene = DemoScene(size)
        self.masks = discs(size, objects)
        options = TrackerOptions(horizon=S, emit=emit, positive_points=positives, negative_points=NEGATIVES)
        self.tracker = PointTracker(model, options)
        self.count = 0
        for object_id, mask in self.masks.items():
            self.tracker.add(Prompt(object_id=object_id, mask=mask))
        self._step(self._draw())

    def run_window(self) -> Cost:
        """The next window: all it takes to answer for its frames, and to draw new points at its end."""
        frames = [self._draw() for _ in range(NEW)]
        began = _now()
        tracked_frames = sum(self._step(frame) for frame in frames)
        cost = _since(began)
        assert tracked_frames == NEW, f"{tracked_frames} answers for {NEW} frames"
        return cost

    def _step(self, frame: Frame) -> int:
        """The number of frames that the tracker answers for."""
        answers = self.tracker.step(frame)
        for answer in answers:
            if not isinstance(answer, PromptOnFrame) and answer.seeds_for:
                seeds = tuple(_seed(object_id, mask) for object_id, mask in self.masks.items())
                stamp = answer.frame.stamp
                self.tracker.reseed(Seeds(frame_id=stamp.frame_id, epoch=stamp.epoch, size=frame.size, objects=seeds))
        return len(answers)

    def _draw(self) -> Frame:
        i, self.count = self.count, self.count + 1
        stamp = Stamp(camera="bench", session=0, frame_id=i, captured_ns=i, captured_unix_ns=i)
        return Frame(stamp=stamp, rgb=self.scene.draw(i)[0])


class Ours(LiveTracker):
    """The same with PIPS, whose parts are timed."""

    def __init__(self, network: Pips, size: Size, objects: int, positives: int, emit: Emit) -> None:
        super().__init__(PipsModel(network), size, objects, positives, emit)
        self.network = network

    def window(self) -> Spent:
        """The next window, and what it was spent on."""
        with watched(self.network) as spent:
            spent.cost = self.run_window()
        return spent


class Plain:
    """The plain computation on the same frames."""

    def __init__(self, network: Pips, size: Size) -> None:
        self.device = next(network.parameters()).device
        self.weights = network.state_dict()
        scene = DemoScene(size)
        rgb = np.stack([scene.draw(i)[0] for i in range(S)])
        self.frames_bchw = torch.from_numpy(rgb).permute(0, 3, 1, 2).contiguous().to(self.device)
        self.maps = torch.zeros(0)

    @torch.inference_mode()
    def encode(self) -> Cost:
        """Make the maps of the window's frames."""
        began = _now()
        self.maps = plain_maps(self.weights, self.frames_bchw)
        _wait_for(self.device)
        return _since(began)

    @torch.inference_mode()
    def follow(self, points: int) -> Cost:
        """Look up the points' features, and iterate six times on the maps."""
        height, width = self.frames_bchw.shape[2:]
        xy = torch.rand(points, 2, device=self.device) * torch.tensor([width - 1, height - 1], device=self.device)
        began = _now()
        plain_window(self.weights, self.maps, xy, plain_features(self.maps, xy))
        _wait_for(self.device)
        return _since(began)


def encode_one(network: Pips, size: Size) -> float:
    """Seconds for one frame of the demo scene, its pyramid included."""
    rgb = torch.from_numpy(DemoScene(size).draw(0)[0])
    began = time.perf_counter()
    network.encode(rgb.permute(2, 0, 1).unsqueeze(0))
    return time.perf_counter() - began


@contextmanager
def watched(network: Pips) -> Iterator[Spent]:
    """Time the parts of a network while the `with` lasts. A GPU is waited for at the end of each part."""
    spent = Spent()
    device = next(network.parameters()).device

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments, **named)
            _wait_for(device)
            spent.parts[part] += time.perf_counter() - began
            spent.encoded += len(result) if part == "encoder" else 0
            return result

        return call

    with (
        mock.patch.object(network.fnet, "forward", timed("encoder", network.fnet.forward)),
        mock.patch.object(network.delta_block, "forward", timed("mixer", network.delta_block.forward)),
        mock.patch.object(pips_network, "correlate", timed("correlation", correlation.correlate)),
    ):
        yield spent


def discs(size: Size, count: int) -> dict[int, Array]:
    """Masks (H, W) by object id: discs that stand 3 in a row, each a fifth of the frame's height."""
    y, x = np.mgrid[: size[0], : size[1]]
    down, across = size[0] / 3, size[1] / 3
    centres = [((i // 3 + 0.5) * down, (i % 3 + 0.5) * across) for i in range(count)]
    return {
        i: (np.hypot(y - at_y, x - at_x) < size[0] / 10).astype(np.uint8) for i, (at_y, at_x) in enumerate(centres, 1)
    }


def _seed(object_id: int, mask: Array) -> Seed:
    bbox, crop = crop_mask(mask)
    return Seed(object_id=object_id, bbox=bbox, mask=crop)


def _now() -> Cost:
    return Cost(time.perf_counter(), time.process_time())


def _since(began: Cost) -> Cost:
    now = _now()
    return Cost(now.seconds - began.seconds, now.cpu_s - began.cpu_s)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
