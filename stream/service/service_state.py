"""How each camera is in, what systemd is told out: ready, a status line, and the watchdog's sign of life.

The sign of life is given while frames flow, and while a camera honestly waits for what no restart of ours would bring:
its source is away, it is paused, a node of it is being restarted. It is withheld once a camera that says it runs has
given no masks for too long and no other camera gives any: then systemd restarts the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STUCK_S = 30.0  # without masks, of a camera that says it runs
SLOW_STEPS = 3.0  # a model that takes long for a frame gets so many of its steps, if that is longer
LOADING_S = 60.0  # asked for beyond TimeoutStartSec while nodes load; asked for again each time
LONGEST_STATUS = 240  # characters


@dataclass(frozen=True)
class CameraSigns:
    """One camera at this moment."""

    name: str
    state: str  # of docs/protocol.md, or `failed`
    reason: str = ""
    published: int = 0  # masks messages so far
    published_hz: float = 0.0
    objects: int = 0
    retry_in_s: float | None = None
    step_s: float = 0.0  # of its slowest node

    @property
    def loads(self) -> bool:
        """Whether it has not begun: its nodes load, or its source is being opened for the first time."""
        return self.state == "starting" and not self.reason

    @property
    def waits(self) -> bool:
        """Whether no masks are to be expected, for a reason that it says itself."""
        if self.state in ("starting", "paused", "ended", "failed"):
            return True
        return self.reason == "source_lost" or self.reason.startswith("restarting")


class ServiceState:
    """What systemd has been told, and since when each camera gives no masks. It holds no clock."""

    def __init__(self, watchdog: bool) -> None:
        self._watchdog = watchdog
        self._ready = False
        self._status = ""
        self._moved: dict[str, tuple[int, float]] = {}  # by camera: masks published, and when the newest came

    def update(self, cameras: Sequence[CameraSigns], now_s: float) -> dict[str, str]:
        """What is to be told now; empty where that is nothing."""
        for camera in cameras:
            before = self._moved.get(camera.name)
            if before is None or before[0] != camera.published or camera.waits:
                self._moved[camera.name] = camera.published, now_s
        words: dict[str, str] = {}
        if not self._ready:
            if any(camera.loads for camera in cameras):
                words["EXTEND_TIMEOUT_USEC"] = str(round(LOADING_S * 1e6))
            else:
                self._ready = True
                words["READY"] = "1"
        stuck = [c.name for c in cameras if self._is_stuck(c, now_s)]
        status = describe(cameras, stuck)
        if status != self._status:
            self._status = words["STATUS"] = status
        flowing = any(not c.waits and c.name not in stuck for c in cameras)
        if self._watchdog and (flowing or not stuck):
            words["WATCHDOG"] = "1"
        return words

    def _is_stuck(self, camera: CameraSigns, now_s: float) -> bool:
        silent_s = now_s - self._moved[camera.name][1]
        return not camera.waits and silent_s > max(STUCK_S, SLOW_STEPS * camera.step_s)


def describe(cameras: Sequence[CameraSigns], stuck: Sequence[str] = ()) -> str:
    """A line of how the cameras are: those that don't flow come first."""
    flowing = [c for c in cameras if not c.waits and c.name not in stuck]
    others = [f"{c.name}: {_why(c, c.name in stuck)}" for c in cameras if c not in flowing]
    if len(flowing) > 3:
        rate = sum(c.published_hz for c in flowing)
        others.append(f"{len(flowing)} of {len(cameras)} cameras give masks, {rate:.0f} frames/s in all")
    else:
        others += [f"{c.name}: {c.published_hz:.0f} frames/s, {c.objects} objects" for c in flowing]
    return "; ".join(others)[:LONGEST_STATUS]


def _why(camera: CameraSigns, is_stuck: bool) -> str:
    if is_stuck:
        return f"{camera.state}, but no masks come"
    words = " ".join(filter(None, [camera.state, camera.reason.replace("_", " ")]))
    return words if camera.retry_in_s is None else f"{words}, next try in {camera.retry_in_s:.0f} s"
