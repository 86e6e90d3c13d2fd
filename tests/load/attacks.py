"""What hostile or broken clients do, each bounded in time: `python attacks.py NAME CONTROL PUBLISH SECONDS`.

A process of its own, so that it takes no time from the consumer that is measured beside it.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from collections.abc import Callable

from zmtp_client import RawClient, announced, frame, ping

SIZE = (320, 180)  # width and height of the run that is attacked


def request(method: str, **params: object) -> bytes:
    return frame(json.dumps({"id": 1, "method": method, "params": params}).encode())


def whole_mask() -> dict[str, object]:
    width, height = SIZE
    return {"bbox": [0, 0, width, height], "packbits": base64.b64encode(b"\xff" * (width * height // 8)).decode()}


def flood_and_reset(control: str, publish: str, end_s: float) -> None:
    """Slow requests with heartbeats between them, and the connection breaks off while they wait."""
    while time.monotonic() < end_s:
        client = RawClient(control)
        client.flood((request("stats") + ping()) * 10, most_s=0.5)
        client.reset()


def objects_without_bound(control: str, publish: str, end_s: float) -> None:
    """Objects, many more than there may be."""
    client = RawClient(control)
    while time.monotonic() < end_s:
        client.socket.sendall(request("add_object", mask=whole_mask()))
        client.socket.recv(1 << 16)
        time.sleep(0.01)
    client.reset()


def replies_that_nobody_reads(control: str, publish: str, end_s: float) -> None:
    """Requests with long replies, from clients that never read."""
    clients = [RawClient(control) for _ in range(4)]
    while time.monotonic() < end_s:
        for client in clients:
            client.flood(request("stats"), wait_s=0.05, most_s=0.2)
    for client in clients:
        client.reset()


def subscribers_that_reset(control: str, publish: str, end_s: float) -> None:
    """Thirty-six with two hundred topics each, at once, again and again."""
    while time.monotonic() < end_s:
        clients = [RawClient(publish, "SUB") for _ in range(36)]
        for client in clients:
            topics = [frame(b"\1masks/" + str(random.random()).encode()) for _ in range(200)]
            client.socket.sendall(ping().join(topics))
        for client in clients:
            client.reset()
        time.sleep(0.05)


def long_prefixes(control: str, publish: str, end_s: float) -> None:
    """Subscriptions as long as they may be, without end."""
    clients = [RawClient(publish, "SUB") for _ in range(8)]
    while time.monotonic() < end_s:
        for client in clients:
            client.flood(frame(b"\1" + random.randbytes(400)), wait_s=0.05, most_s=0.2)
    for client in clients:
        client.reset()


def half_sent_messages(control: str, publish: str, end_s: float) -> None:
    """The beginning of huge messages, before the handshake and after it."""
    clients = []
    for endpoint, kind in ((control, "DEALER"), (publish, "SUB")):
        for length in (127 << 20, (1 << 20) - 1):
            for _ in range(8):
                client = RawClient(endpoint, kind)
                client.socket.sendall(announced(length))
                client.flood(bytes(1000), wait_s=0.05, most_s=0.1)
                clients.append(client)
    while time.monotonic() < end_s:
        time.sleep(0.05)
    for client in clients:
        client.reset()


def mute_connections(control: str, publish: str, end_s: float) -> None:
    """More connections than there are descriptors, which say nothing."""
    clients: list[RawClient] = []
    while time.monotonic() < end_s:
        for endpoint in (control, publish):
            try:
                clients.append(RawClient(endpoint, mute=True))
            except OSError:
                time.sleep(0.01)
        if len(clients) > 1500:
            for client in clients[:100]:
                client.reset()
            del clients[:100]
        time.sleep(0.001)
    for client in clients:
        client.reset()


def garbage(control: str, publish: str, end_s: float) -> None:
    """Bytes that are no ZeroMQ, and requests that are no JSON."""
    rng = random.Random(7)
    while time.monotonic() < end_s:
        for endpoint in (control, publish):
            stranger = RawClient(endpoint, mute=True)
            stranger.socket.sendall(rng.randbytes(rng.randrange(1, 2000)))
            stranger.reset()
            client = RawClient(endpoint)
            client.socket.sendall(b"".join(frame(rng.randbytes(rng.randrange(500))) for _ in range(50)))
            client.reset()
        time.sleep(0.01)


ATTACKS: dict[str, Callable[[str, str, float], None]] = {
    attack.__name__: attack
    for attack in (
        flood_and_reset,
        objects_without_bound,
        replies_that_nobody_reads,
        subscribers_that_reset,
        long_prefixes,
        half_sent_messages,
        mute_connections,
        garbage,
    )
}


def main(name: str, control: str, publish: str, seconds: str) -> None:
    end_s = time.monotonic() + float(seconds)
    while time.monotonic() < end_s:
        try:
            ATTACKS[name](control, publish, end_s)
        except OSError:  # it was thrown out
            time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
