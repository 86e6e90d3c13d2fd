"""Clips and sources for the capture tests, small and drawn by code."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from nodes.capture.feed import Feed
from nodes.capture.picture import Opened, Picture
from stream.errors import SourceError
from stream.messages import Array, Frame

GENEROUS_S = 20.0  # how long a test waits for what must happen


def shade(index: int, size: tuple[int, int] = (64, 96)) -> Array:
    """(H, W, 3): a flat picture whose grey level names its index."""
    return np.full((*size, 3), 8 * index % 256, np.uint8)


def write_clip(path: Path, frames: int = 12, fps: int = 25, **options: str) -> Path:
    """An H.264 video of noisy `shade` pictures; noisy, so that no frame is so small that cutting misses it."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=fps, options={"g": "4", "bf": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(frames):
            noisy = shade(index).astype(int) + rng.integers(0, 60, (64, 96, 1))
            frame = av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 8000, Fraction(1, 8000), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


Step = Array | SourceError | Callable[[], None]


class ScriptedSource:
    """A source that does what its script says: a picture is given, an error is raised, a function is called.

    It ends with its script. A script that begins with an error can't be opened.
    """

    def __init__(self, script: Sequence[Step], *, live: bool = False, fps: float | None = None) -> None:
        self.live = live
        self.closed = False
        self.opened = False
        self.skipped = 0
        self._fps = fps
        self._script = list(script)

    def open(self) -> Opened:
        if self._script and isinstance(self._script[0], SourceError):
            raise self._script[0]
        self.opened = True
        first = next((s for s in self._script if isinstance(s, np.ndarray)), shade(0))
        return Opened(first.shape[:2], self._fps)

    def skip(self, count: int) -> None:
        self.skipped = count
        del self._script[:count]

    def read(self) -> Picture | None:
        while self._script:
            step = self._script.pop(0)
            if isinstance(step, SourceError):
                raise step
            if isinstance(step, np.ndarray):
                return Picture(step)
            step()
        return None

    def close(self) -> None:
        self.closed = True


class Wakes:
    """Lets a test wait until something is true of a feed, without sleeping."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, GENEROUS_S), "what the test waits for did not happen"


def drain(feed: Feed, wakes: Wakes) -> list[Frame]:
    """Every frame until the feed has ended."""
    frames: list[Frame] = []

    def over() -> bool:
        while (frame := feed.take()) is not None:
            frames.append(frame)
        return feed.phase in ("ended", "failed")

    wakes.wait_for(over)
    return frames
