"""How often a client may send requests: a bucket for each, which fills up again."""

from __future__ import annotations

from collections import OrderedDict

CLIENTS = 1024  # that are remembered; who has been silent for longest is forgotten first


class RequestLimits:
    """`burst` requests at once, and `per_s` of them afterwards."""

    def __init__(self, burst: int, per_s: float) -> None:
        self.refused = 0
        self._burst = burst
        self._per_s = per_s
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # client -> requests left, when it was so

    def take(self, client: bytes, now_s: float) -> bool:
        """Whether the client may send a request now; it counts."""
        left, since_s = self._left.pop(client, (float(self._burst), now_s))
        left = min(self._burst, left + (now_s - since_s) * self._per_s)
        allowed = left >= 1
        self._left[client] = (left - allowed, now_s)
        self.refused += not allowed
        if len(self._left) > CLIENTS:
            self._left.popitem(last=False)
        return allowed
