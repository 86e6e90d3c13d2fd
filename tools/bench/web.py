"""The page: how old a frame is when it is painted, what viewers cost, and what one costs that stops reading."""

from __future__ import annotations

import argparse
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nodes.capture.frame_code import NUMBERS
from stream.errors import StreamError
from tools.bench.rows import Row, row
from tools.bench.run import GraphRun
from tools.bench.usage import Usage
from tools.bench.web_viewers import Crowd, Entrance, Viewer, enter
from tools.chromium import launched

CAMERA = "camera"
SIZE, FPS = "640x360", 25.0
SERVERS = ("web", "publisher")  # the nodes whose work viewers are
VIEWERS = (1, 4, 10)
P50_TARGET_MS, P95_TARGET_MS = 100.0, 200.0  # capture to painted
TEN_TARGET = 50.0  # % of a core that ten viewers take
RATE_TARGET = 95.0  # % of their rate that viewers keep beside one that stops reading
GROWTH_TARGET_MB = 8.0  # while it does
SETTLE_S = 4.0  # after the start, and after viewers have come or gone
START_S = 60.0
WINDOW = {"width": 1280, "height": 720}
READER = Path(__file__).with_name("frame_code.js")
PAGE_URL = re.compile(r"the page is at (\S+)")

# A frame is read once, where the next frame of the display begins: by then the one before was presented with it. So the
# time is late by a frame of the display, never early; and nothing runs while nothing is painted.
WATCH = """
(canvas) => {
  const read = READER;
  const context = canvas.getContext("2d");
  const drawImage = context.drawImage.bind(context);
  window.painted = [];
  const look = () => {
    const number = read(canvas);
    if (number >= 0) window.painted.push([number, Date.now()]);
  };
  context.drawImage = (...what) => {
    drawImage(...what);
    requestAnimationFrame(look);
  };
}
"""

T = TypeVar("T")
Key = tuple[str, str, str]  # part, measure, unit
Values = dict[Key, float]


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py web`."""
    values: dict[Key, list[float]] = defaultdict(list)
    for _ in range(options.repeat):
        for key, value in _one_run(options).items():
            values[key].append(value)
    targets: dict[str, Any] = {
        "capture to painted p50": {"at_most": P50_TARGET_MS},
        "capture to painted p95": {"at_most": P95_TARGET_MS},
        "ten viewers": {"at_most": TEN_TARGET},
        "rate of the others": {"at_least": RATE_TARGET},
        "growth": {"at_most": GROWTH_TARGET_MB},
    }
    return [row(*key, repetitions, **targets.get(key[1], {})) for key, repetitions in values.items()]


def _one_run(options: argparse.Namespace) -> Values:
    scene = {"demo_size": SIZE, "demo_fps": FPS, "demo_frames": 10**6, "demo_code": "true", "camera": CAMERA}
    arguments = ["--config", options.config, "--source", "demo", "--realtime", "--web", "127.0.0.1:0"]
    for key, value in scene.items():
        arguments += ["--set", f"capture.{key}={value}"]
    seconds = options.frames / FPS
    with GraphRun(arguments) as run:
        captures = Captures(run)
        try:
            entrance = enter(_page_url(run))
            captures.wait_for(1)
            return {
                **_page(run, captures, entrance, seconds),
                **_crowd(run, entrance, seconds / 2),
                **_stalled(run, entrance, seconds / 2),
            }
        finally:
            run.stop()
            captures.join()


class Captures:
    """When each frame of a run was captured, as its masks say."""

    def __init__(self, run: GraphRun) -> None:
        self.ms: dict[int, float] = {}  # frame_id, modulo what a code can say -> unix time
        self._run = run
        self._thread = threading.Thread(target=self._listen, name="captures", daemon=True)
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until so many frames have got their masks."""
        _until(lambda: len(self.ms) >= count, "masks")

    def join(self) -> None:
        """Wait until the run's last message was taken; the run has ended."""
        self._thread.join(START_S)

    def _listen(self) -> None:
        try:
            for message in self._run.messages():
                stamp = message.masks.stamp
                self.ms[stamp.frame_id % NUMBERS] = stamp.captured_unix_ns / 1e6
        except StreamError:
            pass  # whoever waits for frames says what is missing


def _page(run: GraphRun, captures: Captures, entrance: Entrance, seconds: float) -> Values:
    """A page in Chromium: the age of frames at the moment when they are on its screen."""
    with launched() as browser:
        context = browser.new_context(viewport=WINDOW)  # type: ignore[arg-type]
        name, _, value = entrance.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": entrance.url}])
        page = context.new_page()
        page.goto(entrance.url)
        canvas = page.locator("#picture")
        page.wait_for_function(f"(canvas) => ({READER.read_text()})(canvas) >= 0", arg=canvas.element_handle())
        time.sleep(SETTLE_S)
        canvas.evaluate(WATCH.replace("READER", READER.read_text().strip()))
        before, began_s = run.usage(), time.monotonic()
        time.sleep(seconds)
        painted = page.evaluate("window.painted")
        took_s, after = time.monotonic() - began_s, run.usage()
    ages = [at_ms - captures.ms[number] for number, at_ms in painted if number in captures.ms]
    if len(ages) < 2:
        raise StreamError(f"the page painted {len(ages)} frames in {took_s:.0f} s")
    part = f"page, {FPS:g} frames/s {SIZE}"
    return {
        **{(part, f"capture to painted p{p}", "ms"): float(np.percentile(ages, p)) for p in (50, 95, 99)},
        (part, "painted", "frames/s"): len(ages) / took_s,
        (part, "CPU of the graph", "% of a core"): _cpu(before, after, took_s, tuple(after)),
    }


def _crowd(run: GraphRun, entrance: Entrance, seconds: float) -> Values:
    """Plain viewers: what the nodes that serve them take beyond what they take while nobody looks."""
    crowd = Crowd()
    values: Values = {}
    try:
        time.sleep(SETTLE_S)
        idle, _ = _served(run, crowd, seconds)
        values["viewers", "none", "% of a core"] = idle
        for count, word in zip(VIEWERS, ("one viewer", "four viewers", "ten viewers"), strict=True):
            crowd.join(entrance, CAMERA, count)
            time.sleep(SETTLE_S)
            load, rates = _served(run, crowd, seconds)
            values["viewers", word, "% of a core"] = load - idle
            values["viewers", f"rate of {word}", "frames/s"] = float(np.mean(rates))
    finally:
        crowd.leave()
    return values


def _stalled(run: GraphRun, entrance: Entrance, seconds: float) -> Values:
    """A viewer that stops reading beside three that go on."""
    crowd = Crowd()
    stalled = Viewer(entrance)
    try:
        crowd.join(entrance, CAMERA, 3)
        time.sleep(SETTLE_S)
        _, before = _served(run, crowd, seconds)
        memory = _memory(run)
        stalled.look(CAMERA)  # and never receives
        time.sleep(SETTLE_S)
        _, beside = _served(run, crowd, seconds)
        part = "one stops reading"
        return {
            (part, "rate of the others", "%"): 100 * float(np.mean(beside) / np.mean(before)),
            (part, "growth", "MB"): _memory(run) - memory,
        }
    finally:
        stalled.close()
        crowd.leave()


def _served(run: GraphRun, crowd: Crowd, seconds: float) -> tuple[float, list[float]]:
    """(% of a core that the serving nodes take, frames/s of each viewer)."""
    before, pictures, began_s = run.usage(), crowd.pictures(), time.monotonic()
    time.sleep(seconds)
    took_s, after = time.monotonic() - began_s, run.usage()
    rates = [(now - then) / took_s for then, now in zip(pictures, crowd.pictures(), strict=True)]
    return _cpu(before, after, took_s, SERVERS), rates


def _cpu(before: dict[str, Usage], after: dict[str, Usage], seconds: float, nodes: tuple[str, ...]) -> float:
    return 100 * sum(after[n].cpu_s - before[n].cpu_s for n in nodes if n in before and n in after) / seconds


def _memory(run: GraphRun) -> float:
    """MB of the serving nodes."""
    usage = run.usage()
    return sum(usage[node].rss_mb for node in SERVERS)


def _page_url(run: GraphRun) -> str:
    """The address that the run prints, with its token."""

    def found() -> str:
        match = PAGE_URL.search(run.log())
        return match[1] if match else ""

    return _until(found, "the page's address")


def _until(condition: Callable[[], T], what: str) -> T:
    end_s = time.monotonic() + START_S
    while not (answer := condition()):
        if time.monotonic() > end_s:
            raise StreamError(f"waited {START_S:g} s in vain for {what}")
        time.sleep(0.05)
    return answer
