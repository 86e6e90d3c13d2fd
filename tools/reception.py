"""A consumer's account of what has come off the PUB socket, how old it was, and what never came."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from stream.errors import MessageError
from stream.public_wire.messages import Received, unpack_masks, unpack_status

RATE_WINDOW_NS = 2_000_000_000
RECENT = 10_000  # ages that percentiles are taken of; a consumer may run for weeks


class Reception:
    """What has come, and what has not. Its memory does not grow with time."""

    def __init__(self, camera: str | None = None) -> None:
        self.camera = camera  # None: any
        self.received = 0
        self.gaps = 0  # messages that never came, by their sequence
        self.passed_over = 0  # frames
        self.malformed = 0
        self.why_malformed = ""  # the newest reason
        self.publishers = 0  # 2 or more: it was restarted
        self.newest: Received | None = None
        self.status: dict[str, Any] = {}
        self.arrivals_ns: deque[int] = deque(maxlen=1000)
        self.ages_ms: deque[float] = deque(maxlen=RECENT)  # capture to arrival, by the unix clocks of both hosts
        self.ages_at_publish_ms: deque[float] = deque(maxlen=RECENT)  # by the publishing host's monotonic clock

    def take(self, parts: Sequence[bytes], unix_ns: int) -> Received | None:
        """Count one message that came at `unix_ns`; answer with it if it holds masks."""
        topic, _, camera = parts[0].partition(b"/")
        if self.camera is not None and camera != self.camera.encode():
            return None  # ZeroMQ subscribes to prefixes: `door` brings `door2` along
        try:
            if topic == b"status":
                self.status = unpack_status(parts).status
                return None
            received = unpack_masks(parts)
        except MessageError as error:
            self.malformed += 1
            self.why_malformed = str(error)
            return None
        self._count(received, unix_ns)
        return received

    def _count(self, received: Received, unix_ns: int) -> None:
        last = self.newest
        if last is None or last.publisher != received.publisher:
            self.publishers += 1  # its sequence begins at 0, so nobody can know what was missed before
        else:
            self.gaps += max(0, received.sequence - last.sequence - 1)
        self.newest = received
        self.received += 1
        self.passed_over += received.masks.passed_over
        stamp = received.masks.stamp
        self.arrivals_ns.append(unix_ns)
        self.ages_ms.append((unix_ns - stamp.captured_unix_ns) / 1e6)
        self.ages_at_publish_ms.append((received.published_ns - stamp.captured_ns) / 1e6)

    def rate_hz(self, unix_ns: int) -> float:
        """Masks messages a second, over the last two seconds."""
        recent = [at for at in self.arrivals_ns if unix_ns - at < RATE_WINDOW_NS]
        return (len(recent) - 1) * 1e9 / (unix_ns - recent[0]) if len(recent) > 1 and unix_ns > recent[0] else 0.0

    def summary(self) -> dict[str, Any]:
        """What --json writes; `objects` are those of the newest message."""
        return {
            "received": self.received,
            "gaps": self.gaps,
            "passed_over": self.passed_over,
            "malformed": self.malformed,
            "publishers": self.publishers,
            "age_ms": _percentiles(self.ages_ms),
            "age_at_publish_ms": _percentiles(self.ages_at_publish_ms),
            "objects": [
                {
                    "id": o.object_id,
                    "state": o.state,
                    "origin": o.origin,
                    "score": o.score,
                    "area": o.area,
                    "bbox": o.bbox,
                }
                for o in (self.newest.masks.objects if self.newest else ())
            ],
        }


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    names = {"p50": 50, "p95": 95, "p99": 99}
    return {n: round(float(np.percentile(values, q)), 3) if values else None for n, q in names.items()}
