"""A run whose cameras share one model, seen from outside: cameras come and go, and what each gets is counted."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.errors import MessageError, StreamError
from stream.geometry import Size
from stream.public_wire.messages import Received, unpack_masks
from stream.transport.service_sockets import Listener
from tools.bench.fleet import FleetRun
from tools.bench.gpu.camera_search import Step
from tools.bench.usage import usage_of_graph

BOX = (0.36, 0.35, 0.55, 0.65)  # of the picture: what is followed in each
REQUEST_S = 60.0  # for a request that can't be carried out yet
POLL_MS = 50


@dataclass(frozen=True)
class Pace:
    """How long a step takes."""

    patience_s: float  # for decoded masks of each camera that was added
    warm_up_s: float  # after that
    seconds: float  # that are measured


class CameraRun:
    """Takes steps of a run: so many cameras, for some seconds."""

    def __init__(self, run: FleetRun, listener: Listener, size: Size, pace: Pace) -> None:
        self.run = run
        self.pace = pace
        self.cameras: list[str] = []
        self.loads: list[dict[str, float]] = []  # of the model, by step
        self._listener = listener
        self._box = [round(part * side, 1) for part, side in zip(BOX, size[::-1] * 2, strict=True)]

    def take(self, count: int) -> Step:
        """What so many cameras got, and in `loads` what the model had to do for it."""
        self._have(count)
        time.sleep(self.pace.warm_up_s)
        before, cpu_before_s, began_ns = self._load(), self._cpu_s(), time.monotonic_ns()
        until_ns = began_ns + round(1e9 * self.pace.seconds)
        decoded, published, ages_ms = Counter[str](), Counter[str](), []
        while time.monotonic_ns() < until_ns:
            if (received := self._next()) is not None and began_ns <= received.published_ns < until_ns:
                camera = received.masks.stamp.camera
                published[camera] += 1
                if is_decoded(received):
                    decoded[camera] += 1
                    ages_ms.append((received.published_ns - received.masks.stamp.captured_ns) / 1e6)
        after, elapsed_s = self._load(), (time.monotonic_ns() - began_ns) / 1e9
        self.loads.append(load_between(before, after, most_since(cpu_before_s, self._cpu_s()), elapsed_s))
        cameras = self.cameras
        return Step(
            seconds=self.pace.seconds,
            decoded=tuple(decoded[c] for c in cameras),
            published=tuple(published[c] for c in cameras),
            ages_ms=tuple(ages_ms),
        )

    def _have(self, count: int) -> None:
        """Add or remove cameras; return when each of the new ones has had decoded masks, or the patience is over."""
        print(f"gpu: {count} cameras", file=sys.stderr)
        while len(self.cameras) > count:
            self._ask("remove_camera", camera=self.cameras.pop())
        new = [f"camera{i}" for i in range(len(self.cameras), count)]
        for i, camera in enumerate(new, len(self.cameras)):
            if i > 0:  # the first is in the config
                self._ask("add_camera", camera=camera, config={"capture": {"demo_seed": i}})
        for camera in new:
            self.run.follow(camera, self._box)
        self.cameras += new
        waiting, until_s = set(new), time.monotonic() + self.pace.patience_s
        while waiting and time.monotonic() < until_s:
            if (received := self._next()) is not None and is_decoded(received):
                waiting.discard(received.masks.stamp.camera)

    def _ask(self, method: str, **params: Any) -> None:
        until_s = time.monotonic() + REQUEST_S
        while (error := self.run.ask(method, **params).get("error")) is not None:
            if error not in ("busy", "camera_exists", "timeout") or time.monotonic() > until_s:  # it is on its way out
                raise StreamError(f"{method}: {error}; the log of the run ends: {self.run.log.read_text()[-500:]}")
            time.sleep(0.2)

    def _next(self) -> Received | None:
        parts = self._listener.recv(POLL_MS)
        if parts is None:
            if self.run.process.poll() is not None:
                raise StreamError(f"the run has ended; its log ends: {self.run.log.read_text()[-500:]}")
            return None
        try:
            return unpack_masks(parts)
        except MessageError as error:
            raise StreamError(f"the run published what is no masks message: {error}") from None

    def _load(self) -> dict[str, float]:
        """What the model has done since its start, by the first camera's status; empty before it says so."""
        status = self.run.ask("stats", camera=self.cameras[0])
        device = status.get("sharing", {}).get("device", {})
        passes = status.get("budget", {}).get("refinement_passes", 0.0)
        return {**{k: float(v) for k, v in device.items() if k in LOAD}, "passes": float(passes)}

    def _cpu_s(self) -> dict[str, float]:
        """CPU time of each process."""
        return {name: usage.cpu_s for name, usage in usage_of_graph(self.run.process.pid).items()}


LOAD = ("batches", "busy_ms", "batch_occupancy")


def most_since(before_s: dict[str, float], after_s: dict[str, float]) -> float:
    """CPU time of the process that used most since then: the one that holds the model."""
    return max(used_s - before_s.get(name, 0.0) for name, used_s in after_s.items())


def load_between(before: dict[str, float], after: dict[str, float], cpu_s: float, elapsed_s: float) -> dict[str, float]:
    """Requests a batch, % of the time that the model was busy, cores of its process, refinement passes lately."""
    load = {"cores": cpu_s / elapsed_s, "passes": after["passes"]}
    if not all(key in before and key in after for key in LOAD):
        return load
    batches = after["batches"] - before["batches"]
    if batches > 0:
        requests = after["batch_occupancy"] * after["batches"] - before["batch_occupancy"] * before["batches"]
        load["requests"] = requests / batches
    load["busy"] = 100 * (after["busy_ms"] - before["busy_ms"]) / (1e3 * elapsed_s)
    return load


def is_decoded(received: Received) -> bool:
    """Whether the masks are of their very frame, not carried by points."""
    return any(o.origin == "decoded" for o in received.masks.objects)


def config_tree(size: Size, fps: float, weights: dict[str, Any], endpoint: Path) -> dict[str, Any]:
    """The config of such a run with its first camera; `weights`: the sections that say which networks there are."""
    capture = {"source": "demo", "realtime": True, "demo_fps": fps, "demo_size": f"{size[1]}x{size[0]}"}
    return {
        "base": "sam_pt_reinit",
        "capture": {**capture, "demo_objects": False, "demo_frames": 1_000_000},
        "graph": {"processes": "device"},
        "publisher": {"endpoint": f"ipc://{endpoint}"},
        "cameras": {"camera0": {"capture": {"demo_seed": 0}}},
        **weights,
    }
