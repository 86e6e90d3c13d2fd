"""Publisher: masks, scenes and pictures in, the PUB socket of docs/protocol.md out."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stream.commands import Command, PublishStatus, SetLabels, SetZones
from stream.errors import MessageError
from stream.messages import Frame, Masks, Message, Scene
from stream.node import NodeContext, Stage
from stream.public_wire.messages import pack_frame, pack_masks, pack_scene, pack_status
from stream.reports import Progress
from stream.settings.config import Config
from stream.settings.recordings import recording_node
from stream.timing import Latency, RecentLatency

if TYPE_CHECKING:
    from nodes.publisher.event_stream import EventStream
    from nodes.publisher.mask_recorder import MaskRecorder

log = logging.getLogger(__name__)


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The stage that this node runs."""
    return PublisherStage(config, node)


class PublisherStage(Stage):
    """Numbers the masks messages, and sends them with pictures and status to whoever subscribes."""

    def __init__(self, config: Config, node: NodeContext) -> None:
        self._own = config.publisher
        self._camera = config.capture.camera
        self._node = node
        self._broadcast = node.open_broadcast()
        self._incarnation = secrets.token_hex(4)  # a subscriber that sees another knows why the sequence begins at 0
        self._scenes_topic = f"scenes/{self._camera}"
        self._events_topic = f"events/{self._camera}"
        self._zones = config.zones
        self._live = config.live
        self._events: EventStream | None = None  # from when there is a zone, or somebody who listens
        self._labels: dict[int, str] = {}  # what the user calls the objects
        self._published = 0  # masks messages; also the sequence number of the next one
        self._frame_id = -1  # of the newest masks message
        self._scenes = 0  # scenes messages; also the sequence number of the next one
        self._scene_id = -1  # frame_id of the newest of them
        self._latency = Latency()  # capture to publish
        self._recent = RecentLatency()
        self._mask_recorder = _make_mask_recorder(config)

    def handle_command(self, command: Command) -> None:
        """Publish the status; take the objects' labels."""
        match command:
            case SetLabels():
                self._labels = command.labels
            case SetZones():
                self._zones = command.zones
                if self._events is not None:
                    self._events.set_zones(command.zones)
            case PublishStatus():
                self._broadcast.send(pack_status(self._camera, json.loads(command.status)))

    def wants(self, topic: str) -> bool:
        """Scenes only while somebody looks: else none is even sent here."""
        return topic != "scenes" or self._broadcast.has_subscriber(self._scenes_topic)

    def step(self, message: Message) -> bool:
        """Publish masks, which are the feed, or a scene or a picture, which are not."""
        match message:
            case Masks():
                self._publish_masks(message)
                return True
            case Scene():
                self._send(lambda: self._pack_scene(message))
            case Frame():
                self._send(lambda: pack_frame(message.stamp, message.rgb, self._own.jpeg_quality))
        return False

    def close(self) -> None:
        """Close the socket, and the file of masks."""
        self._broadcast.close()
        if self._mask_recorder is not None:
            self._mask_recorder.close()

    def progress(self) -> Progress:
        """How many masks messages were published, and how old they were."""
        events = {} if self._events is None else {"events": self._events.sent}
        return Progress(
            frame_id=self._frame_id,
            counters={"published": self._published, "scenes": self._scenes, **events},
            gauges={f"latency_p{p}": self._latency.quantile(p / 100) for p in (50, 95, 99)}
            | {f"recent_latency_p{p}": self._recent.quantile(p / 100, self._node.now_s()) for p in (50, 95)},
        )

    def _publish_masks(self, masks: Masks) -> None:
        stamp = masks.stamp
        # Counted here, so that what gave way in our own queue is counted, too. The first message can't know.
        if self._frame_id >= 0:
            masks = replace(masks, passed_over=max(0, stamp.frame_id - self._frame_id - 1))
        self._frame_id = stamp.frame_id
        now_ns = round(self._node.now_s() * 1e9)
        masks = masks.with_labels(self._labels)
        self._broadcast.send(pack_masks(masks, self._own.codec, now_ns, self._published, self._incarnation))
        self._published += 1
        if self._mask_recorder is not None:
            self._mask_recorder.take(masks)
        self._publish_events(masks, now_ns)
        age_ms = (now_ns - stamp.captured_ns) / 1e6
        self._latency.add(age_ms)
        self._recent.add(age_ms, now_ns / 1e9)

    def _publish_events(self, masks: Masks, now_ns: int) -> None:
        """Tell what objects did; where there is no zone, only from when somebody has asked for it."""
        if self._events is None:
            wanted = self._zones.polygons or self._zones.lines or self._broadcast.has_subscriber(self._events_topic)
            if not wanted:
                return
            from nodes.publisher.event_stream import EventStream  # what is off is not loaded

            self._events = EventStream(self._zones, self._incarnation, live=self._live)
        if (parts := self._events.take(masks, now_ns)) is not None:
            self._broadcast.send(parts)

    def _pack_scene(self, scene: Scene) -> list[bytes]:
        stamp, gap = scene.masks.stamp, 0
        if self._scene_id >= 0:
            gap = max(0, stamp.frame_id - self._scene_id - 1)
        masks = replace(scene.masks.with_labels(self._labels), passed_over=gap)
        now_ns, own = round(self._node.now_s() * 1e9), self._own
        labelled = replace(scene, masks=masks)
        parts = pack_scene(labelled, own.codec, own.jpeg_quality, now_ns, self._scenes, self._incarnation)
        self._scenes, self._scene_id = self._scenes + 1, stamp.frame_id
        return parts

    def _send(self, pack: Callable[[], list[bytes]]) -> None:
        """Send a message with a picture in it, unless the picture can't be packed."""
        try:
            parts = pack()
        except MessageError as error:
            log.warning("a picture is not published: %s", error, extra={"once_key": "picture not published"})
            return
        self._broadcast.send(parts)


def _make_mask_recorder(config: Config) -> MaskRecorder | None:
    """What writes masks beside recordings, where the config asks for it."""
    if not (recording_node(config) and config.recording.masks):
        return None
    from nodes.publisher.mask_recorder import MaskRecorder  # what is off is not loaded
    from stream.recordings.index_file import index_file
    from stream.settings.recordings import camera_folder

    return MaskRecorder(camera_folder(config), config.recording.pre_s, index_file(config))
