"""What every node stands on: its sockets, the loop that serves them, the stop signal and the health beat."""

from __future__ import annotations

import logging
import os
import resource
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from stream.errors import StreamError
from stream.messages import Command, End, Message
from stream.reports import Answer, Done, Failure, Found, Health, Hello, Opened
from stream.service_sockets import Outlet
from stream.settings.config import Config
from stream.sockets import Context, Poller, Waker
from stream.topology import NODES, TOPICS, Delivery, deliveries, readers
from stream.transport import Publisher, Subscriber

log = logging.getLogger(__name__)
M = TypeVar("M", bound=Message)

TICK_MS = 50  # the longest that the loop sleeps: how soon a stop is seen


class Endpoints:
    """topic -> endpoint, from the config and the folder (or, over inproc, the name) of the run."""

    def __init__(self, config: Config, base: str) -> None:
        self.base = base  # "ipc:///.../" or "inproc://.../"
        self.moved = config.graph.endpoints

    def endpoint(self, topic: str) -> str:
        """Where the writer of `topic` binds and its readers connect."""
        return self.moved.get(topic, self.base + topic)


class Heartbeat:
    """The health of a node, told once a second by a thread of its own, so that a long step does not silence it."""

    def __init__(self, node: str, outlet: Outlet, period_s: float) -> None:
        self.node = node
        self.outlet = outlet
        self.period_s = period_s
        self.phase = "running"
        self.frame_id = -1
        self.steps = 0
        self.spent_s = 0.0  # inside steps
        self.step_began: float | None = None
        self.first_step: float | None = None
        self.last_step = 0.0
        self.numbers: Callable[[], dict[str, float]] = dict
        self.sockets: list[Publisher | Subscriber] = []
        self._told = (time.monotonic(), 0, 0.0)  # when, steps, spent_s at the last beat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{node}-beat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Heartbeat once more, with the final numbers, and end."""
        self._stop.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stop.wait(self.period_s):
            self.outlet.send(self.health())
        self.phase = "stopped"
        self.outlet.send(self.health())
        self.outlet.close()

    def count(self, act: Callable[[M], bool | None], message: M) -> None:
        """Do one step with a message of the feed, and account for it; an answer of False says that it was none."""
        began = time.monotonic()
        if act(message) is False:
            return
        now = time.monotonic()
        self.steps += 1
        self.spent_s += now - began
        self.first_step, self.last_step = self.first_step or began, now

    def goes_on(self) -> None:
        """A long step is under way and does not hang."""
        self.step_began = time.monotonic()

    def health(self) -> Health:
        """The state of the node now; rates since the last call."""
        now, steps, spent = time.monotonic(), self.steps, self.spent_s
        then, steps_then, spent_then = self._told
        began = self.step_began
        self._told = (now, steps, spent)
        elapsed, done = max(now - then, 1e-6), steps - steps_then
        return Health(
            node=self.node,
            pid=os.getpid(),
            phase=self.phase,
            frame_id=self.frame_id,
            steps=steps,
            rate_hz=done / elapsed,
            busy=min(1.0, (spent - spent_then) / elapsed),
            step_ms=1e3 * (spent - spent_then) / done if done else 0.0,
            in_step_s=now - began if began is not None else 0.0,
            rss_mb=_resident_mb(),
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            malformed=sum(s.malformed for s in self.sockets),
            dropped=sum(s.dropped if isinstance(s, Publisher) else s.lost for s in self.sockets),
            transport_ms=sum(s.spent_ns for s in self.sockets) / 1e6,
            numbers={
                "spent_s": spent,
                "alive_s": self.last_step - self.first_step if self.first_step is not None else 0.0,
                **self.numbers(),
            },
        )


def _resident_mb() -> float:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


class Runtime:
    """One node's life: sockets by topic, reports to the supervisor, and `serve`, the loop."""

    def __init__(
        self, node: str, config: Config, places: Endpoints, context: Context, stop: threading.Event | None = None
    ) -> None:
        self.node = node
        self.config = config
        self.endpoints = places
        self.context = context
        self.stop = stop or threading.Event()
        self.poller = Poller()
        self.waker = Waker()
        self.poller.watch(self.waker.fd)
        self.outlet = Outlet(context, places.endpoint("reports"))
        self.heartbeat = Heartbeat(node, Outlet(context, places.endpoint("reports")), config.supervisor.heartbeat_s)
        self.subscribers = {
            topic: Subscriber(
                context, places.endpoint(topic), topic, node, self._readers(topic)[node], (TOPICS[topic].kind,)
            )
            for topic in deliveries(node, live=config.live)
        }
        self.publishers = {
            topic: Publisher(context, places.endpoint(topic), topic, self._readers(topic))
            for topic in NODES[node].writes
        }
        self.heartbeat.sockets = [*self.subscribers.values(), *self.publishers.values()]
        for thing in (*self.subscribers.values(), *self.publishers.values()):
            self.poller.watch(thing)
        self.feed = ""  # the topic whose messages are steps, and whose end is ours
        self.started: Command | None = None
        self.ended = False  # the End of the feed has been passed on

    def _readers(self, topic: str) -> dict[str, Delivery]:
        """The readers of a topic; a renderer without sinks takes scenes only when it wants one."""
        found = readers(topic, live=self.config.live)
        if topic == "scenes" and not renders(self.config):
            found["renderer"] = Delivery.NEWEST
        return found

    def wake(self) -> None:
        """End the loop's sleep; may be called from any thread."""
        self.waker.wake()

    def send(self, message: Message) -> None:
        """Write to the topic that carries this kind of message."""
        topic = next(t for t in NODES[self.node].writes if TOPICS[t].kind is type(message))
        self.publishers[topic].send(message)

    def report(self, kind: type[Opened] | type[Done] | type[Answer] | type[Hello] | type[Found], **values: Any) -> None:
        """Tell the supervisor."""
        self.outlet.send(kind(node=self.node, pid=os.getpid(), **values))

    def serve(
        self,
        handlers: dict[str, Callable[[Any], bool | None]],
        *,
        feed: str = "",
        finish: Callable[[], None] = lambda: None,
        takes: Callable[[str], bool] = lambda topic: True,
        turn: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve until told to stop.

        `handlers[topic]` gets each message, and may say False to one of the feed that it lets go; `takes(topic)` says
        whether one is wanted now; `turn` runs once a round; `finish` runs when the topic `feed` has ended, before the
        End is passed on. All topics wait for the start command and while a reader that is waited for is behind;
        commands never wait.
        """
        self.feed = feed
        self.heartbeat.start()
        self.report(Hello, life=self.subscribers["commands"].life)
        try:
            while not self.stop.is_set():
                turn()
                waiting = [t for t in handlers if self._takes(t, takes)]
                for topic in waiting:
                    self.subscribers[topic].ask()
                for topic, subscriber in self.subscribers.items():
                    self.poller.watch(subscriber, topic in waiting)
                self.heartbeat.step_began = None
                ready = self.poller.wait(TICK_MS)
                self.heartbeat.step_began = time.monotonic()  # whatever hangs from here on is noticed
                if self.waker.fd in ready:
                    self.waker.drain()
                for publisher in self.publishers.values():
                    if publisher in ready:
                        publisher.pump()
                for topic in waiting:
                    if self.subscribers[topic] in ready and self._takes(topic, takes):
                        self._handle(topic, handlers[topic], finish)
        finally:
            self.heartbeat.stop()
            self.outlet.close()
            for socket in self.heartbeat.sockets:
                socket.close()

    def _takes(self, topic: str, takes: Callable[[str], bool]) -> bool:
        if topic == "commands":
            return True
        ready = all(p.ready for p in self.publishers.values())
        return self.started is not None and ready and takes(topic)

    def _handle(self, topic: str, handler: Callable[[Any], bool | None], finish: Callable[[], None]) -> None:
        """Give the handler what has come: all commands and seeds, one message of the feed."""
        while not self.stop.is_set() and (message := self.subscribers[topic].take()) is not None:
            if isinstance(message, Command) and message.kind == "stop":
                self.stop.set()
            elif isinstance(message, Command) and message.kind == "start":
                self.started = message
                handler(message)
            elif isinstance(message, End):
                if topic == self.feed:
                    self.end(finish)
            elif topic == self.feed:
                self.heartbeat.count(handler, message)
            else:
                handler(message)
            if topic not in ("commands", "seeds"):
                return

    def end(self, finish: Callable[[], None] = lambda: None) -> None:
        """The feed has ended: finish, pass it on, tell the supervisor; once."""
        if self.ended:
            return
        self.ended = True
        finish()
        for publisher in self.publishers.values():
            publisher.send(End())
        self.report(Done)


def renders(config: Config) -> bool:
    """True when the renderer has a sink that wants every frame."""
    r = config.renderer
    return bool(r.record or r.save_masks or r.window or r.picture)


def fail(node: str, outlet: Outlet, error: StreamError) -> None:
    """Tell the supervisor that this node gives up, in one message."""
    outlet.send(Failure(node=node, pid=os.getpid(), message=str(error), exit_code=error.exit_code))
