"""Webhooks: hears of the run's events as any subscriber does, and sends each to the receivers, signed and in order."""

from __future__ import annotations

import logging

from nodes.webhooks.letters import letters_of
from nodes.webhooks.sender import Sender
from stream.errors import MessageError
from stream.node import NodeContext, Stage
from stream.public_wire.events import unpack_events
from stream.reports import Progress
from stream.settings.cameras import camera_configs
from stream.settings.config import Config, FleetConfig

log = logging.getLogger(__name__)

AT_ONCE = 256  # messages that are taken in a round


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The stage that this node runs."""
    return WebhooksStage(config, node)


class WebhooksStage(Stage):
    """Puts events into the queue of each receiver, whose own thread empties it."""

    def __init__(self, config: Config, node: NodeContext) -> None:
        cameras = list(camera_configs(config))
        several = isinstance(config, FleetConfig)
        self._kinds = config.webhooks.kinds
        self._camera = "" if several else cameras[0]  # ZeroMQ's subscriptions are prefixes
        self._malformed = 0
        self._listener = node.open_listener(["events/" if several else f"events/{cameras[0]}"])
        self._senders = [Sender(url, config.webhooks) for url in config.webhooks.urls]
        for sender in self._senders:
            sender.start()

    def on_idle(self) -> None:
        """Take the events that have come."""
        if not all(sender.alive for sender in self._senders):
            raise RuntimeError("a thread that sends events has failed")  # no StreamError: a restart may mend it
        for _ in range(AT_ONCE):
            if (parts := self._listener.recv(0)) is None:
                return
            try:
                events = unpack_events(parts)
            except MessageError as error:
                self._malformed += 1
                log.debug("publisher: %s", error)
                continue
            if self._camera in ("", events.camera):
                for letter in letters_of(events, self._kinds):
                    for sender in self._senders:
                        sender.add(letter)

    def close(self) -> None:
        """Send what can be sent at once."""
        self._listener.close()
        for sender in self._senders:
            sender.close()

    def progress(self) -> Progress:
        """What became of the events, over all receivers."""
        queues = [sender.queue for sender in self._senders]
        return Progress(
            counters={
                "delivered": sum(queue.delivered for queue in queues),
                "dead_letters": sum(queue.dead for queue in queues),
                "dropped": sum(queue.dropped for queue in queues),
                "failed_attempts": sum(queue.failures for queue in queues),
            },
            gauges={
                "waiting": float(sum(len(queue) for queue in queues)),
                "failing": float(sum(bool(queue.error) for queue in queues)),
            },
        )
