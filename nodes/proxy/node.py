"""Proxy: what each camera's publisher says in, the one PUB socket of the run out; subscriptions go the other way.

Each publisher is subscribed to for what somebody outside subscribes to, topic by topic: so nobody makes pictures that
nobody looks at, and no program outside can make a publisher keep more than its five topics.
"""

from __future__ import annotations

import json

from stream.commands import Command, PublishStatus, SetCameras
from stream.node import NodeContext, Stage
from stream.public_wire.messages import pack_status
from stream.reports import Progress
from stream.settings.config import Config

ROOMS = ("masks", "scenes", "status", "frames", "events")
CHOOSE_S = 0.05  # how soon a new subscription is passed on
AT_ONCE = 256  # messages that are passed on in a round, so that commands and new subscribers have their turn


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The stage that this node runs."""
    return ProxyStage(node)


class ProxyStage(Stage):
    """Passes messages on as they are."""

    def __init__(self, node: NodeContext) -> None:
        self._node = node
        self._broadcast = node.open_broadcast()
        self._publishers = node.open_collector()
        self._endpoints: dict[str, str] = {}  # of the cameras' publishers, by camera
        self._subscribed: set[str] = set()  # topics that somebody outside wants
        self._choose_at_s = 0.0
        self._passed_on = 0  # messages

    def handle_command(self, command: Command) -> None:
        """Take the cameras that there are; publish what the supervisor says of one."""
        match command:
            case SetCameras(endpoints=endpoints):
                self._listen_to(endpoints)
            case PublishStatus(camera=camera, status=status):
                self._broadcast.send(pack_status(camera, json.loads(status)))

    def on_idle(self) -> None:
        """Pass on what has come; wake at once if there is more."""
        if self._node.now_s() >= self._choose_at_s:
            self._choose_topics()
        for _ in range(AT_ONCE):
            if (parts := self._publishers.take()) is None:
                return
            self._broadcast.send(parts)
            self._passed_on += 1
        self._node.wake()

    def close(self) -> None:
        """Close the sockets."""
        self._publishers.close()
        self._broadcast.close()

    def progress(self) -> Progress:
        """How many messages were passed on."""
        return Progress(counters={"passed_on": self._passed_on})

    def _listen_to(self, endpoints: dict[str, str]) -> None:
        """Connect to the publishers of cameras that are new, and let go of those that are gone.

        One on another host has no endpoint before it has reported it.
        """
        for camera, endpoint in self._endpoints.items():
            if endpoint and endpoints.get(camera) != endpoint:
                self._publishers.disconnect(endpoint)
        for camera, endpoint in endpoints.items():
            if endpoint and self._endpoints.get(camera) != endpoint:
                self._publishers.connect(endpoint)
        self._endpoints = dict(endpoints)
        self._choose_topics()

    def _choose_topics(self) -> None:
        """Subscribe to just what is wanted outside."""
        self._choose_at_s = self._node.now_s() + CHOOSE_S
        topics = (f"{room}/{camera}" for camera in self._endpoints for room in ROOMS)
        wanted = {topic for topic in topics if self._broadcast.has_subscriber(topic)}
        for topic in wanted - self._subscribed:
            self._publishers.subscribe(topic)
        for topic in self._subscribed - wanted:
            self._publishers.unsubscribe(topic)
        self._subscribed = wanted
