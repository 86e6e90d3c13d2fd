"""A node without sockets, threads and clocks: what a stage sends and reports is kept, and time passes when told to.

    node = InMemoryNode()
    stage = make_stage(config, node)
    node.start(stage, StartTracker())
    node.give(stage, frame)
    assert node.take(Tracks) == [...]

Serves the tests of every shell, the evaluation tools, and whoever wants to step through a stage in a debugger.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from stream.commands import Command
from stream.messages import Message
from stream.node import Stage
from stream.reports import Report
from stream.scheduling.shared_models import SharedModels

M = TypeVar("M", bound=Message)


class InMemoryBroadcast:
    """What a publisher would have given to the world."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.subscriptions: set[str] = set()  # prefixes of topics; written by whoever drives the stage
        self.closed = False

    def send(self, parts: list[bytes]) -> None:
        """Keep the message."""
        self.sent.append(parts)

    def has_subscriber(self, topic: str) -> bool:
        """Whether somebody subscribes to the topic, or to a prefix of it."""
        return any(topic.startswith(prefix) for prefix in self.subscriptions)

    def close(self) -> None:
        """Note it."""
        self.closed = True


class InMemoryControl:
    """A control socket whose replies a test writes."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.replies: list[bytes] = []
        self.closed = False

    def send(self, body: bytes) -> None:
        """Keep the request."""
        self.sent.append(body)

    def recv(self, timeout_ms: int) -> bytes | None:
        """The next reply there is."""
        return self.replies.pop(0) if self.replies else None

    def close(self) -> None:
        """Note it."""
        self.closed = True


class InMemoryListener:
    """A subscriber whose messages a test writes."""

    def __init__(self, topics: Sequence[str]) -> None:
        self.topics = set(topics)  # that it listens to now
        self.messages: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self.closed = False

    def publish(self, parts: list[bytes]) -> None:
        """Give it a message, if it listens to that topic."""
        if any(parts[0].startswith(topic.encode()) for topic in self.topics):
            self.messages.put(parts)

    def recv(self, timeout_ms: int) -> list[bytes] | None:
        """The next message there is."""
        try:
            return self.messages.get(timeout=timeout_ms / 1000)
        except queue.Empty:
            return None

    def subscribe(self, topic: str) -> None:
        """Listen to one more."""
        self.topics.add(topic)

    def unsubscribe(self, topic: str) -> None:
        """Listen to one less."""
        self.topics.discard(topic)

    def close(self) -> None:
        """Note it."""
        self.closed = True


class InMemoryCollector:
    """A subscriber to many publishers, whose messages a test writes."""

    def __init__(self) -> None:
        self.endpoints: set[str] = set()
        self.topics: set[str] = set()
        self.messages: list[list[bytes]] = []
        self.closed = False

    def connect(self, endpoint: str) -> None:
        """Listen to one more publisher."""
        self.endpoints.add(endpoint)

    def disconnect(self, endpoint: str) -> None:
        """Listen to one less."""
        self.endpoints.remove(endpoint)

    def take(self) -> list[bytes] | None:
        """The next message there is."""
        return self.messages.pop(0) if self.messages else None

    def subscribe(self, topic: str) -> None:
        """Take one more topic."""
        self.topics.add(topic)

    def unsubscribe(self, topic: str) -> None:
        """Take one less."""
        self.topics.remove(topic)

    def close(self) -> None:
        """Note it."""
        self.closed = True


class InMemoryNode:
    """A `NodeContext` for one stage."""

    def __init__(self, now_s: float = 0.0, models: SharedModels | None = None) -> None:
        self.time_s = now_s  # moved by whoever drives the stage
        self.models = models
        self.has_room = True  # False: readers are behind
        self.sent: list[Message] = []
        self.reports: list[Report] = []
        self.steps = 0
        self.wakes = 0
        self.ended = False
        self.broadcast = InMemoryBroadcast()
        self.control = InMemoryControl()
        self.listener = InMemoryListener(())
        self.collector = InMemoryCollector()
        self.folder = Path()  # written by a test whose stage keeps something there

    # --- what a stage asks of its node ---

    @property
    def ready(self) -> bool:
        """As it was set."""
        return self.has_room

    def send(self, message: Message) -> None:
        """Keep the message."""
        self.sent.append(message)

    def report(self, report: Report) -> None:
        """Keep the report."""
        self.reports.append(report)

    def wake(self) -> None:
        """Count it."""
        self.wakes += 1

    def now_s(self) -> float:
        """The time as it was set."""
        return self.time_s

    @contextmanager
    def measured_step(self) -> Iterator[None]:
        """Count a step."""
        yield
        self.steps += 1

    def still_working(self) -> None:
        """Nobody watches."""

    def end_feed(self) -> None:
        """Note it."""
        self.ended = True

    def open_broadcast(self) -> InMemoryBroadcast:
        """The one broadcast of this node."""
        return self.broadcast

    def open_collector(self) -> InMemoryCollector:
        """The one collector of this node."""
        return self.collector

    def open_control(self) -> InMemoryControl:
        """The one control client of this node."""
        return self.control

    def open_listener(self, topics: Sequence[str]) -> InMemoryListener:
        """The one listener of this node."""
        self.listener.topics.update(topics)
        return self.listener

    # --- what drives a stage ---

    def start(self, stage: Stage, *commands: Command) -> None:
        """Give commands in order."""
        for command in commands:
            stage.handle_command(command)

    def give(self, stage: Stage, message: Message) -> bool:
        """One round with one message, as a node's loop makes it; whether it was a step."""
        stage.on_idle()
        counted = stage.step(message)
        self.steps += counted
        return counted

    def take(self, kind: type[M]) -> list[M]:
        """The messages and reports of a kind that have come since the last call, oldest first."""
        found = [m for m in (*self.sent, *self.reports) if isinstance(m, kind)]
        self.sent = [m for m in self.sent if not isinstance(m, kind)]
        self.reports = [r for r in self.reports if not isinstance(r, kind)]
        return found
