"""Who talks to whom: a table of topics and a table of nodes, on one screen.

    capture --frames--> tracker --tracks--> decoder --scenes--> renderer
                           ^                   |----masks-----> publisher, supervisor
                           +-------seeds-------+                (frames too go to the publisher, if it publishes them)
    supervisor --commands--> every node --reports--> supervisor

Frames travel down the chain with what was found in them, so that no reader ever has to match two streams.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from stream.commands import Command
from stream.errors import ConfigError, nearest
from stream.messages import Frame, Masks, Message, Scene, Seeds, Tracks
from stream.reports import Report
from stream.settings.config import Config


class Delivery(Enum):
    """What becomes of messages that a reader does not take in time."""

    NEWEST = "newest"  # only the newest waits; it is asked for when the reader is free, so it is never stale
    EVERY = "every"  # a bounded queue; the oldest gives way, counted
    LOSSLESS = "lossless"  # a bounded queue; the writer stops taking input while it is full
    PACED = "paced"  # as lossless, with one message waiting and none under way: what comes is as fresh as it can be

    @property
    def waits(self) -> bool:
        """True where the writer waits for the reader, and nothing is ever dropped."""
        return self in (Delivery.LOSSLESS, Delivery.PACED)

    def depth(self, topic: str) -> int:
        """How many messages of the topic wait at most on each side."""
        return 1 if self in (Delivery.NEWEST, Delivery.PACED) else TOPICS[topic].depth


@dataclass(frozen=True)
class Topic:
    """One kind of message: who writes it, and how many wait at most for each reader."""

    kind: type[Message]
    depth: int  # messages; a delivery may allow fewer


@dataclass(frozen=True)
class Node:
    """What a node reads, by topic, and what it writes. `live` and `lossless` feeds differ in delivery only."""

    live: dict[str, Delivery]
    lossless: dict[str, Delivery]
    writes: tuple[str, ...]


TOPICS = {
    "frames": Topic(Frame, 2),
    "tracks": Topic(Tracks, 2),
    "scenes": Topic(Scene, 8),
    "masks": Topic(Masks, 8),
    "seeds": Topic(Seeds, 1000),
    "commands": Topic(Command, 1000),
    "reports": Topic(Report, 1000),
}

NEWEST, EVERY, LOSSLESS, PACED = Delivery.NEWEST, Delivery.EVERY, Delivery.LOSSLESS, Delivery.PACED
COMMANDS = {"commands": EVERY}

NODES = {
    "capture": Node({**COMMANDS}, {**COMMANDS}, ("frames",)),
    "tracker": Node(
        {**COMMANDS, "seeds": EVERY, "frames": NEWEST},
        {**COMMANDS, "seeds": EVERY, "frames": LOSSLESS},
        ("tracks",),
    ),
    # A decoder slower than the feed holds the tracker back, so that frames are passed over in one place only: at the
    # tracker's input, before any work was spent on them, and the age of a mask stays below two steps of the decoder.
    "decoder": Node({**COMMANDS, "tracks": PACED}, {**COMMANDS, "tracks": LOSSLESS}, ("masks", "scenes", "seeds")),
    "renderer": Node({**COMMANDS, "scenes": EVERY}, {**COMMANDS, "scenes": LOSSLESS}, ()),
    "publisher": Node(
        {**COMMANDS, "masks": EVERY, "frames": NEWEST},
        {**COMMANDS, "masks": LOSSLESS, "frames": NEWEST},  # pictures are asked for only where they are published
        (),
    ),
    "supervisor": Node({"masks": NEWEST}, {"masks": NEWEST}, ("commands",)),
}

SUPERVISED = tuple(name for name in NODES if name != "supervisor")


def deliveries(node: str, *, live: bool) -> dict[str, Delivery]:
    """The topics that `node` reads, with their delivery on a live or a lossless feed."""
    return NODES[node].live if live else NODES[node].lossless


def readers(topic: str, *, live: bool) -> dict[str, Delivery]:
    """Every node that reads `topic`, with its delivery."""
    return {name: reads[topic] for name in NODES if topic in (reads := deliveries(name, live=live))}


def writer(topic: str) -> str:
    """The node that writes `topic`."""
    return next(name for name, node in NODES.items() if topic in node.writes)


def check_places(config: Config) -> None:
    """Refuse a graph over several hosts whose nodes could not find each other; ConfigError says what is missing."""
    here = set(config.graph.run)
    for name in here:
        if name not in SUPERVISED:
            raise ConfigError(f"graph.run: no node {name!r}; {nearest(name, SUPERVISED)}")
    for topic in config.graph.endpoints:
        if topic not in TOPICS:
            raise ConfigError(f"graph.endpoints: no topic {topic!r}; {nearest(topic, TOPICS)}")
    if not here:
        return
    if config.graph.host:
        here.add("supervisor")
    for topic in TOPICS:
        ends = {"supervisor", *SUPERVISED} if topic == "reports" else {writer(topic), *readers(topic, live=config.live)}
        if topic == "frames" and not config.publisher.frames:
            ends.discard("publisher")
        if ends & here and ends - here and not config.graph.endpoints.get(topic, "").startswith("tcp://"):
            raise ConfigError(
                f"graph.endpoints.{topic} is not set: {', '.join(sorted(ends & here))} here and "
                f"{', '.join(sorted(ends - here))} elsewhere need tcp://HOST:PORT for it, where its writer is"
            )


def has_sinks(config: Config) -> bool:
    """Whether the renderer has a sink that wants every frame."""
    r = config.renderer
    return bool(r.record or r.save_masks or r.window or r.picture)
