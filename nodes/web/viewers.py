"""Scenes and acknowledgements in, what each viewer is sent out: the newest, never more than two unacknowledged.

A viewer looks at one camera, or at the grid: all cameras, each now and then. Of each camera the newest waits.

A viewer that is slow, far away or asleep misses scenes; it neither holds the others up nor makes anything grow.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nodes.web.access.passwords import Role
from nodes.web.scene_message import WebScene

IN_FLIGHT = 2  # scenes that a viewer was sent and has not acknowledged
MAX_TEXTS = 64  # messages beside scenes that wait for a viewer; one that lets more pile up is closed
MAX_EVENTS = 100  # that wait for a viewer; the oldest give way


@dataclass(eq=False)
class EventNews:
    """What a viewer has not been told yet of what objects did, as JSON values; it does not grow."""

    camera: str = ""
    counts: dict[str, Any] = field(default_factory=dict)  # zones and lines as they are now
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))


@dataclass(eq=False)
class Viewer:
    """A page, or a stream, that looks at a camera."""

    role: Role
    camera: str | None = None  # that it looks at; None: at nothing, or at the grid
    grid: bool = False  # it looks at all cameras
    max_width: int | None = None  # px that it can use; None: the picture as it is
    in_flight: int = 0
    sent: int = 0
    dropped: int = 0  # scenes that a newer one took the place of
    to_send: deque[WebScene] = field(default_factory=deque)  # at most IN_FLIGHT
    texts: deque[str] = field(default_factory=deque)  # messages beside scenes
    takes_events: bool = False  # it is told what objects do
    news: EventNews | None = None  # of that, not told yet
    overflowed: bool = False  # it takes no messages: it is to be closed
    last_camera: str | None = None  # that it looked at last
    wake: Callable[[], None] = lambda: None  # called by whoever gives it something to send
    _waiting: dict[str, WebScene] = field(default_factory=dict)  # by camera the newest, until there is room

    def look(self, camera: str | None, max_width: int | None, *, grid: bool = False) -> None:
        """Look at a camera, or at the grid, from the next scene on."""
        if (camera, grid) != (self.camera, self.grid):
            self.to_send.clear()
            self._waiting.clear()
            self.news = None
            self.in_flight = 0  # a page that was hidden may have painted none of those that it was sent
        self.camera, self.grid, self.max_width = camera, grid, max_width
        self.last_camera = camera or self.last_camera

    def offer(self, scene: WebScene) -> None:
        """A scene has come: send it, or keep it until there is room."""
        if self.in_flight < IN_FLIGHT:
            self._send(scene)
            return
        self.dropped += scene.camera in self._waiting
        self._waiting[scene.camera] = scene  # which keeps its camera's place in the queue

    def acknowledge(self) -> None:
        """The oldest scene under way has been painted."""
        self.in_flight = max(0, self.in_flight - 1)
        if self._waiting and self.in_flight < IN_FLIGHT:
            self._send(self._waiting.pop(next(iter(self._waiting))))

    def say(self, text: str) -> None:
        """Send a message beside the scenes."""
        if len(self.texts) >= MAX_TEXTS:
            self.overflowed = True
        else:
            self.texts.append(text)

    def report(self, camera: str, events: list[dict[str, Any]], counts: dict[str, Any]) -> None:
        """Tell of events, and how zones and lines stand now: with the next message, however many come before it."""
        if not self.takes_events:
            return
        if self.news is None:
            self.news = EventNews(camera)
        self.news.events.extend(events)
        self.news.counts = counts

    def take_news(self) -> str:
        """The message of all events that wait; "" where none does."""
        if self.news is None:
            return ""
        news, self.news = self.news, None
        return json.dumps({"type": "events", "camera": news.camera, "events": list(news.events), **news.counts})

    def _send(self, scene: WebScene) -> None:
        self.in_flight += 1
        self.to_send.append(scene)


class Viewers:
    """All that look."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.sent = 0  # scenes, over the life of the server, also to those that have left
        self.dropped = 0
        self._viewers: list[Viewer] = []

    def __len__(self) -> int:
        return len(self._viewers)

    def __iter__(self) -> Iterator[Viewer]:
        return iter(list(self._viewers))

    def add(self, viewer: Viewer) -> bool:
        """Let one in, if there is room."""
        if len(self._viewers) >= self.most:
            return False
        self._viewers.append(viewer)
        return True

    def remove(self, viewer: Viewer) -> None:
        """One has left."""
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self.sent += viewer.sent
            self.dropped += viewer.dropped

    def looked_at(self) -> set[str]:
        """The cameras that somebody looks at."""
        return {v.camera for v in self._viewers if v.camera is not None}

    @property
    def at_grid(self) -> list[Viewer]:
        """Those that look at the grid."""
        return [v for v in self._viewers if v.grid]

    def offer(self, scene: WebScene, *, for_grid: bool = False) -> list[Viewer]:
        """Give a scene to all who look at its camera, or to the grid, too; the viewers that have something to send."""
        looking = [v for v in self._viewers if v.camera == scene.camera or (for_grid and v.grid)]
        for viewer in looking:
            viewer.offer(scene)
        return [v for v in looking if v.to_send]

    def totals(self) -> tuple[int, int]:
        """(sent, dropped) of all, those that have left included."""
        return self.sent + sum(v.sent for v in self._viewers), self.dropped + sum(v.dropped for v in self._viewers)
