"""The contract of a node: what a stage is, and what it may ask of the node that carries it.

    Runtime (stream/runtime.py)            sockets, signals, heartbeat, the loop
    InMemoryNode (stream/in_memory.py)     none of them: for tests, the evaluation tools and a debugger
        |  handle_command, wants, step, on_idle, finish, close, progress
        v                                                                   ^  send, report, wake, now_s, ...
      Stage (nodes/<stage>/node.py)        a thin shell round a pure core --+

All hooks are called from one thread, and none of them may wait for long; `wake` may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from stream.commands import Command
from stream.messages import Message
from stream.reports import Progress, Report
from stream.scheduling.shared_models import SharedModels


class Stage(Protocol):
    """What one stage of the graph does with what comes. A hook that is not overridden does nothing."""

    def handle_command(self, command: Command) -> None:
        """Carry out a command of the supervisor; the start command is the first."""
        return

    def wants(self, topic: str) -> bool:
        """Whether a message of the topic may come now. Asked once a round, when the node's readers have room."""
        return True

    def step(self, message: Message) -> bool:
        """Take a message. False: it was let go, and does not count as a step of the feed."""
        return True

    def on_idle(self) -> None:
        """Do what is to be done beside messages; called once a round, at least every 50 ms."""
        return

    def finish(self) -> None:
        """The feed has ended: send what still waits. The end is passed on afterwards."""
        return

    def close(self) -> None:
        """Let go of everything; called once, however the node ends."""
        return

    def progress(self) -> Progress:
        """What the stage has done so far. Called from the heartbeat's thread, too: it only reads."""
        return Progress()


class Broadcast(Protocol):
    """The socket for programs outside: never waits for any of them."""

    def send(self, parts: list[bytes]) -> None: ...
    def has_subscriber(self, topic: str) -> bool: ...
    def close(self) -> None: ...


class PublicListener(Protocol):
    """A subscriber to what a publisher tells the world (docs/protocol.md)."""

    def recv(self, timeout_ms: int) -> list[bytes] | None: ...
    def subscribe(self, topic: str) -> None: ...
    def unsubscribe(self, topic: str) -> None: ...
    def close(self) -> None: ...


class Collector(Protocol):
    """A subscriber to many publishers at once; the node's next round begins as soon as one of them says something."""

    def connect(self, endpoint: str) -> None: ...
    def disconnect(self, endpoint: str) -> None: ...
    def take(self) -> list[bytes] | None: ...
    def subscribe(self, topic: str) -> None: ...
    def unsubscribe(self, topic: str) -> None: ...
    def close(self) -> None: ...


class ControlClient(Protocol):
    """A client of the control socket (docs/protocol.md); never waits."""

    def send(self, body: bytes) -> None: ...
    def recv(self, timeout_ms: int) -> bytes | None: ...
    def close(self) -> None: ...


class NodeContext(Protocol):
    """What a stage may ask of its node."""

    @property
    def ready(self) -> bool:
        """False while a reader that is waited for is behind: what is sent now would only pile up."""

    @property
    def folder(self) -> Path:
        """The run's own folder: nobody but its user can read it, and it goes with the run."""

    @property
    def models(self) -> SharedModels | None:
        """The models that the nodes of this process share; None: this node has its own."""

    def send(self, message: Message) -> None:
        """Write to the topic that carries this kind of message. Never waits."""

    def report(self, report: Report) -> None:
        """Tell the supervisor; the node's name and pid are filled in."""

    def wake(self) -> None:
        """Start the next round at once."""

    def now_s(self) -> float:
        """The monotonic clock, seconds."""

    def measured_step(self) -> AbstractContextManager[Any]:
        """Count what is done inside as a step of the feed: for steps that no message begins."""

    def still_working(self) -> None:
        """A long step is under way and does not hang."""

    def end_feed(self) -> None:
        """The feed ends here: pass it on, and tell the supervisor; once."""

    def open_broadcast(self) -> Broadcast:
        """The PUB socket for programs outside, bound where the graph says."""

    def open_collector(self) -> Collector:
        """A subscriber to the publishers of the run's cameras."""

    def open_control(self) -> ControlClient:
        """A client of this run's control socket."""

    def open_listener(self, topics: Sequence[str]) -> PublicListener:
        """A subscriber to these topics (or their beginnings) of this run's publisher, as any program outside is."""
