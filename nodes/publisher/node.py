"""Publisher: masks in, the PUB socket of docs/protocol.md out."""

from __future__ import annotations

import json
import secrets
import time

from msgspec.structs import replace

from nodes.publisher.public_messages import pack_frame, pack_masks, pack_status
from stream.latency import Latency
from stream.messages import Command, Frame, Masks
from stream.runtime import Runtime
from stream.service_sockets import Broadcast
from stream.topology import TOPICS


def main(node: Runtime) -> None:
    """Run the publisher until its stop signal."""
    own, camera = node.config.publisher, node.config.capture.camera
    broadcast = Broadcast(node.context, own.endpoint or node.endpoints.endpoint("publish"), TOPICS["masks"].depth)
    life = secrets.token_hex(4)  # a subscriber that sees another knows why the sequence starts anew
    latency = Latency()  # capture to publish

    def publish(masks: Masks) -> None:
        # Counted here, so that what gave way in our own queue is told as well. The first message of a life can't know.
        before, node.heartbeat.frame_id = node.heartbeat.frame_id, masks.stamp.frame_id
        if before >= 0:
            masks = replace(masks, passed_over=max(0, masks.stamp.frame_id - before - 1))
        now = time.monotonic_ns()
        broadcast.send(pack_masks(masks, own.codec, now, node.heartbeat.steps, life))
        latency.add((now - masks.stamp.captured_ns) / 1e6)

    def show(frame: Frame) -> None:
        broadcast.send(pack_frame(frame.stamp, frame.rgb, own.jpeg_quality))

    def obey(command: Command) -> None:
        if command.kind == "status":
            broadcast.send(pack_status(camera, json.loads(command.status)))

    def numbers() -> dict[str, float]:
        return {
            "published": node.heartbeat.steps,
            **{f"latency_p{p}": latency.quantile(p / 100) for p in (50, 95, 99)},
        }

    node.heartbeat.numbers = numbers
    try:
        node.serve(
            {"commands": obey, "frames": show, "masks": publish},
            feed="masks",
            takes=lambda topic: topic != "frames" or own.frames,
        )
    finally:
        broadcast.close()
