"""Feeds whose sources follow a script, and ways to wait for them without sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from capture.clips import shade

from nodes.capture.feed import Feed
from nodes.capture.source import Picture, SourceInfo
from stream.arrays import Array
from stream.commands import StartCapture
from stream.errors import SourceError
from stream.messages import Frame
from stream.settings.config import Capture

GENEROUS_S = 60.0  # how long a test waits for what must happen; a busy machine takes its time
QUICK = {"backoff_s": 0.001, "backoff_max_s": 0.002}
Step = Array | Picture | SourceError | Callable[[], None]


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

    def open(self) -> SourceInfo:
        if self._script and isinstance(self._script[0], SourceError):
            raise self._script[0]
        self.opened = True
        first = next((s for s in self._script if isinstance(s, np.ndarray)), shade(0))
        return SourceInfo(first.shape[:2], self._fps)

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
            if isinstance(step, Picture):
                return step
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
        end = time.monotonic() + GENEROUS_S
        with self._changed:
            while not self._changed.wait_for(condition, 0.1):  # not all that is waited for comes with a wake
                assert time.monotonic() < end, "what the test waits for did not happen"


def drain(feed: Feed, wakes: Wakes) -> list[Frame]:
    """Every frame until the feed has ended."""
    frames: list[Frame] = []

    def over() -> bool:
        while (frame := feed.take()) is not None:
            frames.append(frame)
        return feed.phase in ("ended", "failed")

    wakes.wait_for(over)
    return frames


def play(
    *scripts: Sequence[Step], live: bool = False, source_live: bool | None = None, fps: float | None = None, **config
) -> tuple[Feed, Wakes, list[ScriptedSource]]:
    """A started feed whose first connection plays the first script, and so on; the last one repeats."""
    made: list[ScriptedSource] = []
    wakes = Wakes()
    start = StartCapture(**{k: config.pop(k) for k in StartCapture.__struct_fields__ if k in config})
    keywords = {k: config.pop(k) for k in ("clock", "backoff") if k in config}

    def next_source() -> ScriptedSource:
        script = scripts[min(len(made), len(scripts) - 1)]
        made.append(ScriptedSource(script, live=live if source_live is None else source_live, fps=fps))
        return made[-1]

    capture = Capture(**{"camera": "yard", **QUICK, **config})
    feed = Feed(next_source, capture, start, live=live, wake=wakes, **keywords)
    feed.start()
    return feed, wakes, made


def blocker() -> tuple[Callable[[], None], threading.Event]:
    """A step that holds the source's thread until the event is set."""
    event = threading.Event()

    def block() -> None:
        assert event.wait(GENEROUS_S)

    return block, event
