"""MQTT: hears of the run as any subscriber does, and keeps a broker informed. A broker that is away holds nobody up."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from nodes.mqtt.client import BrokerClient
from nodes.mqtt.names import names_of
from nodes.mqtt.outbox import Outbox
from nodes.mqtt.run_topics import RunTopics
from nodes.mqtt.snapshots import Snapshots
from stream.commands import Command, SetCameras
from stream.errors import MessageError
from stream.node import NodeContext, Stage
from stream.reports import Progress
from stream.settings.cameras import camera_configs
from stream.settings.config import Config, FleetConfig

log = logging.getLogger(__name__)

ROOMS = ("status", "events")
AT_ONCE = 256  # messages that are taken in a round
TICK_S = 0.5


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The stage that this node runs."""
    return MqttStage(config, node)


class MqttStage(Stage):
    """Gives what it hears to the core, which fills the outbox; the client's own thread empties it."""

    def __init__(self, config: Config, node: NodeContext) -> None:
        self._node = node
        names, own = names_of(config), config.mqtt
        self._cameras = list(camera_configs(config))
        several = isinstance(config, FleetConfig)
        self._listener = node.open_listener([f"{room}/" if several else f"{room}/{self._cameras[0]}" for room in ROOMS])
        self._outbox = Outbox(node.now_s)
        self._topics = RunTopics(names, self._outbox, own.state_s, snapshot=own.snapshot_s > 0)
        self._topics.set_cameras(self._cameras)
        self._snapshots = Snapshots(self._listener, own.snapshot_s) if own.snapshot_s else None
        self._tick_at_s = 0.0
        self._client = BrokerClient(own, names, self._outbox)
        self._client.start()

    def handle_command(self, command: Command) -> None:
        """Take the cameras that there are."""
        if isinstance(command, SetCameras):
            self._cameras = list(command.endpoints)
            self._topics.set_cameras(self._cameras)

    def on_idle(self) -> None:
        """Take what the run's publishers have said."""
        if not self._client.alive:
            raise RuntimeError("the MQTT client has failed")  # no StreamError: a restart may mend it
        now_s = self._node.now_s()
        for _ in range(AT_ONCE):
            if (parts := self._listener.recv(0)) is None:
                break
            if parts[0].startswith(b"scenes/"):
                self._take_scene(parts, now_s)
            else:
                self._topics.take(parts, now_s)
        if now_s >= self._tick_at_s:
            self._tick_at_s = now_s + TICK_S
            self._topics.tick(now_s)
            if self._snapshots is not None:
                self._snapshots.choose(self._cameras, now_s)

    def close(self) -> None:
        """Tell the broker that the run ends."""
        self._topics.end()
        self._client.close()
        self._listener.close()

    def progress(self) -> Progress:
        """How the broker is kept informed."""
        client = self._client
        return Progress(
            counters={
                "connections": client.connections,
                "published": client.published,
                "dropped_events": self._outbox.dropped,
            },
            gauges={"connected": float(client.connected)},
        )

    def _take_scene(self, parts: Sequence[bytes], now_s: float) -> None:
        assert self._snapshots is not None
        try:
            if (found := self._snapshots.take(parts, now_s)) is not None:
                self._topics.take_snapshot(*found)
        except MessageError as error:
            log.warning("no snapshot: %s", error, extra={"once_key": "snapshot"})
