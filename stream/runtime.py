"""What carries a stage: its sockets, the loop that serves them, the stop signal and the heartbeat."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from stream.commands import STARTS, Command, Stop
from stream.errors import ConfigError, StreamError
from stream.heartbeat import Heartbeat, StepMeter
from stream.messages import End, Message
from stream.node import NodeContext, Stage
from stream.reports import Bound, Done, Failure, Hello, Report
from stream.run_directory import root
from stream.scheduling.shared_models import SharedModels
from stream.settings.addresses import connectable
from stream.settings.config import Config
from stream.topology import LISTENERS, PUBLISH_IN_RUN, TOPICS, Graph
from stream.transport.service_sockets import Broadcast, Collector, Listener, Outlet, RequestClient
from stream.transport.sockets import Context, Poller, Waker
from stream.transport.topics import Publisher, Subscriber

log = logging.getLogger(__name__)

FAILURE_WAIT_MS = 5000  # until the supervisor has the reason: it would restart what can not be mended
TICK_MS = 50  # the longest that the loop sleeps: how soon a stop is seen

LISTENER_QUEUE = 64  # messages of a publisher of this run that wait for a node: masks of two seconds

MakeStage = Callable[[Config, NodeContext], Stage]


class StopFlag:
    """Tells a node to stop. It holds no lock, so that a signal handler may set it whatever it has interrupted."""

    def __init__(self, parent: StopFlag | None = None) -> None:
        """`parent`: one that stops all nodes of a process."""
        self._set = False
        self._parent = parent

    def set(self) -> None:
        """Stop within one round of the loop."""
        self._set = True

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._set or (self._parent is not None and self._parent.is_set())


class Runtime:
    """One node: a `NodeContext` over ZeroMQ, and `serve`, the loop that drives its stage."""

    def __init__(
        self,
        node: str,
        config: Config,
        graph: Graph,
        base: str,
        context: Context,
        stop: StopFlag | None = None,
        models: SharedModels | None = None,
    ) -> None:
        self.node = node
        self.config = config
        self.graph = graph
        self.base = base  # "ipc:///.../" or "inproc://.../": where topics are that do not leave the host
        self.context = context
        self.stop = stop or StopFlag()
        self.models = models  # that the nodes of this process share
        self.started = False  # the start command has come
        self.ended = False  # the end of the feed has been passed on
        self._feed = graph.nodes[node].feed
        self._waker = Waker()
        self._poller = Poller()
        self._poller.watch(self._waker.fd)
        self._outlet = Outlet(context, self._endpoint("reports"))
        self._subscribers = {e.topic: Subscriber(context, self._endpoint(e.topic), e) for e in graph.inputs(node)}
        self._publishers = {
            topic: Publisher(
                context, self._endpoint(topic), topic, edges, graph.beside(node), graph.outside.get(topic, "")
            )
            for topic, edges in graph.outputs(node).items()
        }
        self._topic_of = {kind: topic for topic in self._publishers for kind in TOPICS[topic].kinds}
        self._meter = StepMeter()
        self._heartbeat = Heartbeat(
            node,
            Outlet(context, self._endpoint("reports")),
            context,
            config.supervisor.heartbeat_s,
            self._meter,
            [*self._publishers.values()],
            [*self._subscribers.values()],
        )
        self._sockets: list[Publisher | Subscriber] = [*self._subscribers.values(), *self._publishers.values()]
        self._broadcasts: list[Broadcast] = []
        for socket in self._sockets:
            self._poller.watch(socket)

    # --- what a stage may ask (stream.node.NodeContext) ---

    @property
    def ready(self) -> bool:
        """False while a reader that is waited for is behind."""
        return all(p.ready for p in self._publishers.values())

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        transport, _, place = self.base.partition("://")
        return Path(place) if transport == "ipc" else root() / place.strip("/")

    def send(self, message: Message) -> None:
        """Write to the topic that carries this kind of message."""
        self._publishers[self._topic_of[type(message)]].send(message)

    def report(self, report: Report) -> None:
        """Tell the supervisor."""
        self._outlet.send(replace(report, node=self.node, pid=os.getpid()))

    def wake(self) -> None:
        """End the loop's sleep; may be called from any thread."""
        self._waker.wake()

    def now_s(self) -> float:
        """The monotonic clock, seconds."""
        return time.monotonic()

    def measured_step(self) -> AbstractContextManager[None]:
        """Count what is done inside as a step of the feed."""
        return self._meter.measured()

    def still_working(self) -> None:
        """A long step is under way and does not hang."""
        self._meter.round_begins()

    def end_feed(self) -> None:
        """Pass the end of the feed on, and tell the supervisor; once."""
        if self.ended:
            return
        self.ended = True
        for publisher in self._publishers.values():
            publisher.send(End())
        self.report(Done())

    def open_broadcast(self) -> Broadcast:
        """The PUB sockets for programs outside; a camera among several is heard by the proxy alone."""
        if self.graph.in_fleet and "publisher" in self.graph.nodes:
            outside = self.graph.outside.get("publish", "")
            broadcast = Broadcast(
                self.context, self._endpoint("publish"), TOPICS["masks"].depth, in_run_only=True, outside=outside
            )
            if outside:
                self.report(Bound(endpoint=broadcast.endpoint))
            self._broadcasts.append(broadcast)
            return broadcast
        endpoint = self.config.publisher.endpoint or self._endpoint("publish")
        inner = self._endpoint(PUBLISH_IN_RUN) if set(LISTENERS) & set(self.graph.nodes) else ""
        broadcast = Broadcast(self.context, endpoint, TOPICS["masks"].depth, inner=inner)
        self.report(Bound(endpoint=broadcast.endpoint))
        self._broadcasts.append(broadcast)
        return broadcast

    def open_collector(self) -> Collector:
        """A subscriber to the publishers of the run's cameras."""
        collector = Collector(self.context, queue=LISTENER_QUEUE)
        self._poller.watch(collector)
        return collector

    def open_control(self) -> RequestClient:
        """A client of this run's control socket."""
        endpoint = connectable(self.config.control.endpoint) or self._endpoint("control")
        return RequestClient(endpoint, self.config.graph.keys, self.context)

    def open_listener(self, topics: Sequence[str]) -> Listener:
        """A subscriber to this run's publisher."""
        endpoint = self._endpoint(PUBLISH_IN_RUN)
        if "publisher" in self.graph.nodes and not self.graph.nodes["publisher"].here:
            endpoint = connectable(self.config.publisher.endpoint)
            if not endpoint.startswith("tcp://"):
                raise ConfigError(
                    f"publisher.endpoint is not set: the publisher elsewhere and {self.node} here need it"
                )
        return Listener(self.context, endpoint, topics, queue=LISTENER_QUEUE)

    # --- the loop ---

    def serve(self, stage: Stage) -> None:
        """Drive the stage until told to stop.

        All topics wait for the start command and while a reader that is waited for is behind; commands never wait.
        """
        self._heartbeat.start(stage.progress)
        for publisher in self._publishers.values():
            if publisher.outside:
                self.report(Bound(endpoint=publisher.outside, topic=publisher.topic))
        self.report(Hello(incarnation=self._subscribers["commands"].incarnation))
        while not self.stop.is_set():
            stage.on_idle()
            wanted = [topic for topic in self._subscribers if self._may_take(topic, stage)]
            for topic, subscriber in self._subscribers.items():
                self._poller.watch(subscriber, topic in wanted)
                if topic in wanted:
                    subscriber.ask()
            self._meter.round_ends()
            arrived = self._poller.wait(self._longest_wait_ms())
            self._meter.round_begins()
            if self._waker.fd in arrived:
                self._waker.drain()
            for publisher in self._publishers.values():
                if publisher in arrived:
                    publisher.pump()
            for broadcast in self._broadcasts:
                broadcast.serve()
            for topic in wanted:
                if self._subscribers[topic] in arrived and self._may_take(topic, stage):
                    self._deliver(topic, stage)

    def close(self) -> None:
        """Send the last heartbeat, and close every socket."""
        self._heartbeat.stop()
        self._outlet.close()
        for socket in self._sockets:
            socket.close()

    def _may_take(self, topic: str, stage: Stage) -> bool:
        if topic == "commands":
            return True
        return self.started and self.ready and stage.wants(topic)

    def _longest_wait_ms(self) -> int:
        """Until the next round of the loop, at the latest."""
        early_s = max((publisher.early_s for publisher in self._publishers.values()), default=0.0)
        return min(TICK_MS, math.ceil(1e3 * early_s)) if early_s > 0 else TICK_MS

    def _deliver(self, topic: str, stage: Stage) -> None:
        """Give the stage what has come: all messages of a drained topic, one of another."""
        while not self.stop.is_set() and (message := self._subscribers[topic].take()) is not None:
            self._dispatch(topic, message, stage)
            if not TOPICS[topic].drained:
                return

    def _dispatch(self, topic: str, message: Any, stage: Stage) -> None:
        if isinstance(message, Stop):
            self.stop.set()
        elif isinstance(message, Command):
            self.started = self.started or isinstance(message, STARTS)
            stage.handle_command(message)
        elif isinstance(message, End):
            if topic == self._feed and not self.ended:
                stage.finish()
                self.end_feed()
        elif topic == self._feed:
            self._meter.count(lambda: stage.step(message))
        else:
            stage.step(message)

    def _endpoint(self, topic: str) -> str:
        return self.graph.endpoint(topic, self.base)


def run_stage(
    make_stage: MakeStage,
    node: str,
    config: Config,
    graph: Graph,
    base: str,
    context: Context,
    stop: StopFlag,
    models: SharedModels | None = None,
) -> None:
    """Make a stage and serve it to its end. A StreamError is reported to the supervisor before it is raised."""
    try:
        runtime = Runtime(node, config, graph, base, context, stop, models)
        try:
            stage = make_stage(config, runtime)
            try:
                runtime.serve(stage)
            finally:
                stage.close()
        finally:
            runtime.close()
    except StreamError as error:
        outlet = Outlet(context, graph.endpoint("reports", base))
        outlet.send(Failure(node=node, pid=os.getpid(), message=str(error), exit_code=error.exit_code))
        outlet.close(FAILURE_WAIT_MS)
        raise
