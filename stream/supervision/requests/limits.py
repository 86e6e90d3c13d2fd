"""How often a client may send requests: a bucket for each, which fills up again."""

from __future__ import annotations

from collections import OrderedDict

from stream.bucket import Bucket

CLIENTS = 1024  # that are remembered; who has been silent for longest is forgotten first


class RequestLimits:
    """`burst` requests at once, and `per_s` of them afterwards."""

    def __init__(self, burst: int, per_s: float) -> None:
        self.refused = 0
        self._burst = burst
        self._per_s = per_s
        self._buckets: OrderedDict[bytes, Bucket] = OrderedDict()  # by client

    def take(self, client: bytes, now_s: float) -> bool:
        """Whether the client may send a request now; it counts."""
        bucket = self._buckets.setdefault(client, Bucket(self._burst, self._per_s, now_s))
        self._buckets.move_to_end(client)
        allowed = bucket.left(now_s) >= 1
        bucket.take(allowed)
        self.refused += not allowed
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return allowed
