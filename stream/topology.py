"""Who talks to whom, and who runs where: tables of topics and stages, and the graph that a config makes of them.

    capture --frames--> tracker --tracks--> decoder --scenes--> renderer
                           ^                   |----masks-----> publisher, supervisor
                           +-------seeds-------+                (frames and scenes go there too, if it publishes them)
    web --uploads--> capture (where a page's own camera is the source)
    publisher --PUB--> web (where it is asked for) --requests--> supervisor
    publisher --PUB--> mqtt, webhooks (where they are asked for)
    supervisor --commands--> every node --reports--> supervisor

Where a run has several cameras, each has a graph of its own, and the run has some nodes once:

    every camera's publisher --PUB--> proxy --PUB--> web, mqtt, webhooks, programs outside

Frames travel down the chain with what was found in them, so that no reader ever has to match two streams.

`wiring(config)` is the one place that decides; whoever opens a socket or starts a process asks its `Graph`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from stream.commands import COMMANDS
from stream.console.device_lines import DEVICE
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
from stream.settings.config import Config, FleetConfig
from stream.settings.recordings import recording_node


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

# Where nodes of the run subscribe: the page asks for each picture of its grid, far more often than a client may.
PUBLISH_IN_RUN = "publish-in-run"

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
    "mqtt": Stage({}, ()),  # hears of the feed as programs outside do, and tells a broker
    "webhooks": Stage({}, ()),  # likewise, and sends events to receivers
    "proxy": Stage({}, ()),  # passes on what the publishers of several cameras say
}
LISTENERS = ("web", "mqtt", "webhooks")  # stages that read what the publisher tells the world, and nothing else
OPTIONAL = (*LISTENERS, "proxy")  # stages that are there only where the config asks for them
SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Node:
    """A stage of one camera (or one that the run has once), and where it runs."""

    camera: str  # empty: of all cameras
    stage: str
    reads: dict[str, Delivery]
    writes: tuple[str, ...]
    feed: str
    process: str  # nodes of the same process run as its threads
    here: bool  # this host runs it
    name: str  # in logs and of its thread: the stage, where several cameras are as CAMERA/STAGE


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
    """The nodes of a camera (or those that a run of several has once) and the edges between them."""

    nodes: dict[str, Node]  # by stage; the supervisor is one of them
    edges: tuple[Edge, ...]
    endpoints: dict[str, str] = field(default_factory=dict)  # topic -> tcp endpoint, where it leaves this host
    in_fleet: bool = False  # one of several graphs of the run: what its publisher says goes to the proxy
    # topic -> where its writer binds, too, for readers on another host; the system chooses the port, and it is reported
    outside: dict[str, str] = field(default_factory=dict)

    def inputs(self, node: str) -> list[Edge]:
        """What a node reads, reports aside."""
        return [e for e in self.edges if e.reader == node and not TOPICS[e.topic].fan_in]

    def outputs(self, node: str) -> dict[str, list[Edge]]:
        """The topics that a node writes, each with its readers, reports aside."""
        topics = [t for t in self.nodes[node].writes if not TOPICS[t].fan_in]
        return {topic: [e for e in self.edges if e.topic == topic] for topic in topics}

    def beside(self, node: str) -> tuple[str, ...]:
        """The nodes that run in the same process as this one."""
        process = self.nodes[node].process
        here = self.nodes[node].here
        return tuple(n for n, other in self.nodes.items() if here and other.here and other.process == process)

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


def wiring(config: Config, *, in_fleet: bool = False) -> Graph:
    """The graph of one camera, whose config this is; ConfigError where it names nodes or topics that there are not.

    `in_fleet`: the run has other cameras, too.
    """
    stages = [stage for stage in STAGES if stage != "proxy"]  # which belongs to no camera
    for name in config.graph.run:
        if name not in stages:
            raise ConfigError(f"graph.run: no node {name!r}; {nearest(name, stages)}")
    for topic in config.graph.endpoints:
        if topic not in TOPICS:
            raise ConfigError(f"graph.endpoints: no topic {topic!r}; {nearest(topic, TOPICS)}")
    for stage in LISTENERS:
        if in_fleet or stage not in listeners(config):
            stages.remove(stage)
    nodes = {stage: _node(stage, config, in_fleet) for stage in stages}
    nodes[SUPERVISOR] = _supervisor(config, {"masks": NEWEST, "reports": EVERY})
    if config.graph.engine == "ray" and in_fleet:
        anywhere = f"tcp://{config.graph.address}:0"
        ends = {**dict.fromkeys(("commands", "reports"), anywhere), **config.graph.endpoints}  # both are bound here
        return Graph(nodes, _edges(nodes), ends, in_fleet, dict.fromkeys(("masks", "publish"), anywhere))
    return Graph(nodes, _edges(nodes), config.graph.endpoints, in_fleet)


def common_wiring(config: FleetConfig) -> Graph:
    """The nodes that a run of several cameras has once."""
    stages = ("proxy", *listeners(config))
    nodes = {
        stage: Node(
            camera="",
            stage=stage,
            reads={"commands": EVERY},
            writes=("reports",),
            feed="",
            process=SUPERVISOR if config.supervisor.threads else stage,
            here=True,
            name=stage,
        )
        for stage in stages
    }
    nodes[SUPERVISOR] = _supervisor(config, {"reports": EVERY})
    return Graph(nodes, _edges(nodes), {}, in_fleet=True)


def listeners(config: Config) -> tuple[str, ...]:
    """The stages of `LISTENERS` that a config asks for."""
    on = {"web": config.web.endpoint, "mqtt": config.mqtt.url, "webhooks": config.webhooks.urls}
    return tuple(stage for stage in LISTENERS if on[stage])


def run_wiring(config: Config) -> list[Graph]:
    """The graphs of a run: of each camera, and of the nodes that several have in common."""
    if not isinstance(config, FleetConfig):
        return [wiring(config)]
    return [*(wiring(own, in_fleet=True) for own in config.cameras.values()), common_wiring(config)]


def node_names(config: Config) -> list[str]:
    """The names of all nodes of a run, as logs have them."""
    return [node.name for graph in run_wiring(config) for node in graph.nodes.values()]


def _edges(nodes: Mapping[str, Node]) -> tuple[Edge, ...]:
    """Every topic from whoever writes it to whoever reads it."""
    return tuple(
        Edge(topic, writer, reader, delivery)
        for reader, node in nodes.items()
        for topic, delivery in node.reads.items()
        for writer in nodes
        if topic in nodes[writer].writes
    )


def _supervisor(config: Config, reads: dict[str, Delivery]) -> Node:
    return Node(
        camera=config.capture.camera,
        stage=SUPERVISOR,
        reads=reads,
        writes=("commands",),
        feed="",
        process=SUPERVISOR,
        here=config.graph.host,
        name=SUPERVISOR,
    )


def _node(stage: str, config: Config, in_fleet: bool) -> Node:
    """A stage as the config's feed, sinks and hosts make it."""
    plan = STAGES[stage]
    reads = dict(plan.reads)
    if plan.feed and not config.live:
        reads[plan.feed] = LOSSLESS
    if stage == "renderer" and not has_sinks(config):
        reads["scenes"] = NEWEST  # asked for when a snapshot is
    if stage == "publisher" and not config.publisher.frames:
        del reads["frames"]
    if stage == "capture" and recording_node(config) == "capture" and config.recording.when == "objects":
        reads["masks"] = NEWEST  # they tell whether an object is in sight
    writes = plan.writes
    if source_kind(config.capture.source) == "browser":
        if stage == "capture":
            reads["uploads"] = NEWEST
        if stage == "web":
            writes = (*writes, "uploads")
    if stage == "publisher" and not config.publishes_scenes:
        del reads["scenes"]
    name = f"{config.capture.camera}/{stage}" if in_fleet else stage
    return Node(
        camera=config.capture.camera,
        stage=stage,
        reads={"commands": EVERY, **reads},
        writes=(*writes, "reports"),
        feed=plan.feed,
        process=_process(name, stage, config, in_fleet),
        here=not config.graph.run or stage in config.graph.run,
        name=name,
    )


def _process(name: str, stage: str, config: Config, in_fleet: bool) -> str:
    """The process that a node of that name runs in."""
    if config.supervisor.threads:
        return SUPERVISOR
    if config.graph.processes == "device" and stage in ("tracker", "decoder"):
        own = config.tracker if stage == "tracker" else config.decoder
        return f"{DEVICE}{own.device}"
    by_camera = config.graph.processes in ("camera", "device") or (config.graph.processes == "auto" and in_fleet)
    return config.capture.camera if by_camera else name


def has_sinks(config: Config) -> bool:
    """Whether the renderer has a sink that wants every frame."""
    r = config.renderer
    records = bool(r.record) and recording_node(config) != "capture"
    return bool(records or r.save_masks or r.window or r.picture)
