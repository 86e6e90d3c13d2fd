"""Who talks to whom, and who runs where: tables of topics and stages, and the graph that a config makes of them.

    capture --frames--> tracker --tracks--> decoder --scenes--> renderer
                           ^                   |----masks-----> publisher, supervisor
                           +-------seeds-------+                (frames and scenes go there too, if it publishes them)
    web --uploads--> capture (where a page's own camera is the source)
    publisher --PUB--> web (where it is asked for) --requests--> supervisor
    supervisor --commands--> every node --reports--> supervisor

Frames travel down the chain with what was found in them, so that no reader ever has to match two streams.

`wiring(config)` is the one place that decides; whoever opens a socket or starts a process asks its `Graph`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from stream.commands import COMMANDS
from stream.errors import ConfigError, nearest
from stream.messages import (
    DiscoverObjects,
    Frame,
    Masks,
    Message,
    PromptOnFrame,
    ReinitRequest,
    Scene,
    Seeds,
    Tracks,
    Upload,
)
from stream.reports import REPORTS
from stream.settings.addresses import source_kind
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


@dataclass(frozen=True)
class Topic:
    """One stream of messages."""

    kinds: tuple[type[Message], ...]
    depth: int  # messages that wait at most for each reader; a delivery may allow fewer
    drained: bool = False  # all that have come are taken in one round: small messages that others wait for
    fan_in: bool = False  # many write and one reads, which binds


@dataclass(frozen=True)
class Stage:
    """What a stage reads on a live feed, by topic, and what it writes."""

    reads: dict[str, Delivery]
    writes: tuple[str, ...]
    feed: str = ""  # the topic whose messages are its steps and whose end is its own; a finished clip makes it LOSSLESS


TOPICS = {
    "uploads": Topic((Upload,), 1),
    "frames": Topic((Frame,), 2),
    "tracks": Topic((Tracks, ReinitRequest, DiscoverObjects, PromptOnFrame), 2),
    "scenes": Topic((Scene,), 8),
    "masks": Topic((Masks,), 8),
    "seeds": Topic((Seeds,), 1000, drained=True),
    "commands": Topic(COMMANDS, 1000, drained=True),
    "reports": Topic(REPORTS, 1000, drained=True, fan_in=True),
}

NEWEST, EVERY, LOSSLESS, PACED = Delivery.NEWEST, Delivery.EVERY, Delivery.LOSSLESS, Delivery.PACED

STAGES = {
    "capture": Stage({}, ("frames",)),
    "tracker": Stage({"seeds": EVERY, "frames": NEWEST}, ("tracks",), feed="frames"),
    # A decoder slower than the feed holds the tracker back, so that frames are passed over in one place only: at the
    # tracker's input, before any work was spent on them, and the age of a mask stays below two steps of the decoder.
    "decoder": Stage({"tracks": PACED}, ("masks", "scenes", "seeds"), feed="tracks"),
    "renderer": Stage({"scenes": EVERY}, (), feed="scenes"),
    "publisher": Stage({"masks": EVERY, "frames": NEWEST, "scenes": NEWEST}, (), feed="masks"),
    "web": Stage({}, ()),  # hears of the feed as programs outside do, and asks for things as they do
}
OPTIONAL = ("web",)  # stages that are there only where the config asks for them
SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Node:
    """A stage of one camera, and where it runs."""

    camera: str
    stage: str
    reads: dict[str, Delivery]
    writes: tuple[str, ...]
    feed: str
    process: str  # nodes of the same process run as its threads
    here: bool  # this host runs it


@dataclass(frozen=True)
class Edge:
    """A topic on its way from one node to another."""

    topic: str
    writer: str
    reader: str
    delivery: Delivery

    @property
    def depth(self) -> int:
        """How many messages wait at most on each side."""
        return 1 if self.delivery in (NEWEST, PACED) else TOPICS[self.topic].depth


@dataclass(frozen=True)
class Graph:
    """The nodes of a run and the edges between them."""

    nodes: dict[str, Node]  # by stage; the supervisor is one of them
    edges: tuple[Edge, ...]
    endpoints: dict[str, str] = field(default_factory=dict)  # topic -> tcp endpoint, where it leaves this host

    def inputs(self, node: str) -> list[Edge]:
        """What a node reads, reports aside."""
        return [e for e in self.edges if e.reader == node and not TOPICS[e.topic].fan_in]

    def outputs(self, node: str) -> dict[str, list[Edge]]:
        """The topics that a node writes, each with its readers, reports aside."""
        topics = [t for t in self.nodes[node].writes if not TOPICS[t].fan_in]
        return {topic: [e for e in self.edges if e.topic == topic] for topic in topics}

    def endpoint(self, topic: str, base: str) -> str:
        """Where a topic is bound and connected to; `base` is "ipc:///.../" or "inproc://.../" of the run."""
        return self.endpoints.get(topic, base + topic)

    @property
    def supervised(self) -> tuple[str, ...]:
        """Every node but the supervisor."""
        return tuple(name for name in self.nodes if name != SUPERVISOR)

    @property
    def sinks(self) -> tuple[str, ...]:
        """The nodes that must have seen the end of the feed before the run is over."""
        return tuple(n for n in ("renderer", "publisher") if self.nodes[n].reads[self.nodes[n].feed] is not NEWEST)

    def processes(self) -> dict[str, tuple[str, ...]]:
        """The processes of this host by name, each with the nodes that it runs."""
        local = [n for n in self.supervised if self.nodes[n].here]
        names = dict.fromkeys(self.nodes[n].process for n in local)
        return {name: tuple(n for n in local if self.nodes[n].process == name) for name in names}

    def check(self) -> None:
        """Refuse a graph over several hosts whose nodes could not find each other; ConfigError says what is missing."""
        for topic in TOPICS:
            ends = {name for e in self.edges if e.topic == topic for name in (e.writer, e.reader)}
            here = {name for name in ends if self.nodes[name].here}
            if here and ends - here and not self.endpoints.get(topic, "").startswith("tcp://"):
                raise ConfigError(
                    f"graph.endpoints.{topic} is not set: {', '.join(sorted(here))} here and "
                    f"{', '.join(sorted(ends - here))} elsewhere need tcp://HOST:PORT for it, where its writer is"
                )


def wiring(config: Config) -> Graph:
    """The graph that a config asks for; ConfigError where it names nodes or topics that there are not."""
    for name in config.graph.run:
        if name not in STAGES:
            raise ConfigError(f"graph.run: no node {name!r}; {nearest(name, STAGES)}")
    for topic in config.graph.endpoints:
        if topic not in TOPICS:
            raise ConfigError(f"graph.endpoints: no topic {topic!r}; {nearest(topic, TOPICS)}")
    nodes = {stage: _node(stage, config) for stage in STAGES if stage not in OPTIONAL or _is_wanted(stage, config)}
    nodes[SUPERVISOR] = Node(
        camera=config.capture.camera,
        stage=SUPERVISOR,
        reads={"masks": NEWEST, "reports": EVERY},
        writes=("commands",),
        feed="",
        process=SUPERVISOR,
        here=config.graph.host,
    )
    edges = tuple(
        Edge(topic, writer, reader, delivery)
        for reader, node in nodes.items()
        for topic, delivery in node.reads.items()
        for writer in nodes
        if topic in nodes[writer].writes
    )
    return Graph(nodes, edges, config.graph.endpoints)


def _node(stage: str, config: Config) -> Node:
    """A stage as the config's feed, sinks and hosts make it."""
    plan = STAGES[stage]
    reads = dict(plan.reads)
    if plan.feed and not config.live:
        reads[plan.feed] = LOSSLESS
    if stage == "renderer" and not has_sinks(config):
        reads["scenes"] = NEWEST  # asked for when a snapshot is
    if stage == "publisher" and not config.publisher.frames:
        del reads["frames"]
    writes = plan.writes
    if source_kind(config.capture.source) == "browser":
        if stage == "capture":
            reads["uploads"] = NEWEST
        if stage == "web":
            writes = (*writes, "uploads")
    if stage == "publisher" and not config.publishes_scenes:
        del reads["scenes"]
    return Node(
        camera=config.capture.camera,
        stage=stage,
        reads={"commands": EVERY, **reads},
        writes=(*writes, "reports"),
        feed=plan.feed,
        process=_process(stage, config),
        here=not config.graph.run or stage in config.graph.run,
    )


def _is_wanted(stage: str, config: Config) -> bool:
    """Whether the config asks for a stage that can be left out."""
    assert stage == "web", stage
    return bool(config.web.endpoint)


def _process(stage: str, config: Config) -> str:
    """The process that a stage runs in."""
    if config.supervisor.threads:
        return SUPERVISOR
    return config.capture.camera if config.graph.processes == "camera" else stage


def has_sinks(config: Config) -> bool:
    """Whether the renderer has a sink that wants every frame."""
    r = config.renderer
    return bool(r.record or r.save_masks or r.window or r.picture)
